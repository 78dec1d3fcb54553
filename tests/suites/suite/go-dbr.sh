# gocraft/dbr, a query builder over go-sql-driver, Go module.
module=github.com/gocraft/dbr/v2
version=v2.7.6
packages=(.)
. "$here/go-module.sh"
databases=(dbr)

run_tests() { DBR_TEST_MYSQL_DSN="$user:$password@tcp($host:$port)/dbr?charset=utf8mb4" timeout 300 "$1" -test.v; }
