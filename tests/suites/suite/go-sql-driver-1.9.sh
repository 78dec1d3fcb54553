# go-sql-driver/mysql, a newer version from the Go module proxy.

databases=(gotest)

prepare() {
  need go golang-go
  go_environment
  go mod download github.com/go-sql-driver/mysql@v1.9.3
  source=$GOMODCACHE/github.com/go-sql-driver/mysql@v1.9.3
}

. "$here/go-sql-driver.sh"
