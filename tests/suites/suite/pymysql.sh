# PyMySQL's own tests; later source packages leave them out.

databases=(test1 test2)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  pypi_source pymysql 0.10.1
  venv pymysql 'pytest==8.4.2' 'cryptography==46.0.3'
}

run_suite() {
  cp -r "$source/pymysql" .
  cat >pymysql/tests/databases.json <<JSON
[{"host": "$host", "port": $port, "user": "$user", "passwd": "$password", "db": "test1", "use_unicode": true, "local_infile": true},
 {"host": "$host", "port": $port, "user": "$user", "passwd": "$password", "db": "test2"}]
JSON
  "$python" -m pytest -p no:cacheprovider pymysql/tests --junitxml=junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
