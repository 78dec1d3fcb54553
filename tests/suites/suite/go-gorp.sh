# go-gorp/gorp, an object mapper over go-sql-driver.
module=github.com/go-gorp/gorp/v3
version=v3.1.0
packages=(.)
. "$here/go-module.sh"
databases=(gorptest)

run_tests() {
  GORP_TEST_DSN="$user:$password@tcp($host:$port)/gorptest?parseTime=true" GORP_TEST_DIALECT=mysql timeout 300 "$1" -test.v
}
