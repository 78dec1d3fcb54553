# The tests of peewee, an ORM, over PyMySQL.

databases=(peewee_test)
# Those that are about this kind of server.
modules=(db_tests expressions fields keys manytomany models model_save model_sql prefetch_tests queries regressions
  results returning schema shortcuts signals sql transactions dataset extra_fields hybrid kv migrations pool
  pwiz_integration reflection)

prepare() {
  debian_source peewee 3.14.10+dfsg-1
  venv peewee 'pymysql==1.1.2' 'pytest==8.4.2'
}

run_suite() {
  cp -r "$source" peewee
  cd peewee
  modules=("${modules[@]/#/tests/}")
  PEEWEE_TEST_BACKEND=mysql PEEWEE_MYSQL_HOST=$host PEEWEE_MYSQL_PORT=$port PEEWEE_MYSQL_USER=$user \
    PEEWEE_MYSQL_PASSWORD=$password PYTHONPATH=$PWD "$python" -m pytest -p no:cacheprovider \
    "${modules[@]/%/.py}" --junitxml=junit.xml || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
