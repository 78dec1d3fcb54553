# SQLAlchemy's dialect suite over mariadbconnector.
dialect=mariadbconnector
scheme=mariadb query=
driver_packages=('mariadb==1.1.14')
. "$here/sqlalchemy.sh"
