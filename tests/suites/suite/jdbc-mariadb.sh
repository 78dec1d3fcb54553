# MariaDB Connector/J, its own tests.

databases=(testj)
server_sql='SET GLOBAL local_infile = 1; SET GLOBAL max_connections = 500;'

prepare() {
  need java default-jdk-headless
  need mvn maven
  debian_source mariadb-connector-java 2.7.6-1
  [ -e "$source/.built" ] || (cd "$source" && mvn -B -q "${maven_options[@]}" -DskipTests test-compile surefire:help && touch .built)
}

# Neither coverage nor formatting.
maven_options=(-Djacoco.skip=true -Dfmt.skip=true -Dskip.format=true)

run_suite() {
  cp -r "$source" connector
  cd connector
  timeout 1500 mvn -B -q "${maven_options[@]}" -Dmaven.test.failure.ignore=true -DtrimStackTrace=true \
    -DTEST_DB_HOST="$host" -DTEST_DB_PORT="$port" -DTEST_DB_USER="$user" -DTEST_DB_PASSWORD="$password" -DTEST_DB_DATABASE=testj \
    -DTEST_DB_OTHER= surefire:test || true
  local report
  for report in target/surefire-reports/TEST-*.xml; do python3 "$here/results.py" junit "$report"; done >"$results"
}
