# SQLAlchemy's dialect suite over mysqlconnector.
dialect=mysqlconnector
driver_packages=('mysql-connector-python==9.5.0')
. "$here/sqlalchemy.sh"
