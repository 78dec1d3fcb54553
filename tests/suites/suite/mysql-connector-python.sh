# Oracle's MySQL Connector/Python, its own tests: in Python, with and without its C part, and for asyncio.

databases=(myconnpy)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  pypi_source mysql_connector_python 9.5.0
  venv mysql-connector-python 'mysql-connector-python==9.5.0' 'pytest==8.4.2'
}

run_suite() {
  cp -r "$source"/{tests,unittests.py,cpydist,lib} .
  # These wait for so many seconds that nothing else is tested by them.
  rm tests/qa/test_qa_timeout.py tests/qa/test_qa_aio_timeout.py
  timeout 900 "$python" unittests.py --use-external-server --skip-install --host "$host" --port "$port" --user "$user" \
    --password "$password" --verbosity 2 >test.log 2>&1 || true
  cat test.log
  python3 "$here/results.py" unittest test.log >"$results"
}
