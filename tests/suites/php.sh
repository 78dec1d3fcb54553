# PHP's tests of the extension $extension; sourced by suite/php-*.sh.

databases=(test)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  need php php8.2-cli
  php -m | grep -q mysqli || install_packages php8.2-mysql
  debian_source php8.2 8.2.32-1~deb12u1
}

run_suite() {
  cp -r "$source/run-tests.php" .
  mkdir -p ext
  cp -r "$source/ext/$extension" "$source/ext/pdo" ext/
  export TEST_PHP_JUNIT=$PWD/junit.xml NO_INTERACTION=1
  export MYSQL_TEST_HOST=$host MYSQL_TEST_PORT=$port MYSQL_TEST_USER=$user MYSQL_TEST_PASSWD=$password MYSQL_TEST_DB=test
  export PDO_MYSQL_TEST_DSN="mysql:host=$host;port=$port;dbname=test" PDO_MYSQL_TEST_HOST=$host PDO_MYSQL_TEST_PORT=$port \
    PDO_MYSQL_TEST_USER=$user PDO_MYSQL_TEST_PASS=$password PDO_MYSQL_TEST_DB=test PDO_MYSQL_TEST_CHARSET=utf8mb4
  php run-tests.php -q --no-color -p "$(command -v php)" "ext/$extension" || true
  python3 "$here/results.py" junit junit.xml >"$results"
}
