# jinzhu/gorm, GORM's first version (over go-sql-driver), Go module; later versions' modules have no tests of databases.
module=github.com/jinzhu/gorm
version=v1.9.16
packages=(.)
. "$here/go-module.sh"
databases=(gorm)

run_tests() {
  GORM_DIALECT=mysql GORM_DSN="$user:$password@tcp($host:$port)/gorm?charset=utf8mb4&parseTime=True" timeout 600 "$1" -test.v
}
