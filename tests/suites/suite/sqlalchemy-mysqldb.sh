# SQLAlchemy's dialect suite over mysqlclient.
dialect=mysqldb
driver_packages=('mysqlclient==2.2.7')
. "$here/sqlalchemy.sh"
