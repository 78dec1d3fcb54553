# Runs the tests of go-sql-driver/mysql in $source; sourced by suite/go-sql-driver-*.sh.

go_environment() {
  export GOMODCACHE=$cache/go-modules GOCACHE=$cache/go-cache GOFLAGS='-modcacherw -mod=mod' GOTOOLCHAIN=local
}

run_suite() {
  go_environment
  cp -rL "$source" driver
  chmod -R u+w driver
  cd driver
  # The skipped test wants to reach an address in the internet.
  # Packages of the system bring no module file.
  [ -e go.mod ] || go mod init github.com/go-sql-driver/mysql
  MYSQL_TEST_USER=$user MYSQL_TEST_PASS=$password MYSQL_TEST_PROT=tcp MYSQL_TEST_ADDR=$host:$port \
    MYSQL_TEST_DBNAME=gotest go test -vet=off -v -timeout 300s -skip TestConnectorReturnsTimeout . >test.log 2>&1 || true
  cat test.log
  python3 "$here/results.py" go test.log >"$results"
}
