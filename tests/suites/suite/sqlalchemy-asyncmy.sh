# SQLAlchemy's dialect suite over asyncmy.
dialect=asyncmy
driver_packages=('asyncmy==0.2.10')
. "$here/sqlalchemy.sh"
