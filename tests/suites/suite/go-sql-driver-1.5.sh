# go-sql-driver/mysql as Debian packages it.

databases=(gotest)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  need go golang-go
  [ -e /usr/share/gocode/src/github.com/go-sql-driver/mysql ] || install_packages golang-github-go-sql-driver-mysql-dev
  source=/usr/share/gocode/src/github.com/go-sql-driver/mysql
}

. "$here/go-sql-driver.sh"
