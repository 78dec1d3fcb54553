# mysqlclient's own tests (the C client library under Python).

databases=(mysqldb_test)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  pypi_source mysqlclient 2.2.7
  command -v mariadb_config >/dev/null 2>&1 || install_packages libmariadb-dev
  venv mysqlclient 'mysqlclient==2.2.7' 'pytest==8.4.2'
}

run_suite() {
  cp -r "$source/tests" .
  cat >tests/suite.cnf <<CNF
[MySQLdb-tests]
host = $host
port = $port
user = $user
password = $password
database = mysqldb_test
default-character-set = utf8mb4
CNF
  TESTDB=suite.cnf "$python" -m pytest -p no:cacheprovider tests --junitxml=junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
