# jmoiron/sqlx, over go-sql-driver.
module=github.com/jmoiron/sqlx
version=v1.4.0
packages=(.)
. "$here/go-module.sh"
databases=(sqlxtest)

run_tests() {
  SQLX_MYSQL_DSN="$user:$password@tcp($host:$port)/sqlxtest?parseTime=true" SQLX_POSTGRES_DSN=skip SQLX_SQLITE_DSN=skip \
    timeout 300 "$1" -test.v
}
