# SQLAlchemy's dialect suite over PyMySQL.
dialect=pymysql
driver_packages=('pymysql==1.1.2' 'cryptography==46.0.3')
. "$here/sqlalchemy.sh"
