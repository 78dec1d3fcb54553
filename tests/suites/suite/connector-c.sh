# MariaDB Connector/C, the unit tests in the server's Debian source package.

databases=(testc)
server_sql='SET GLOBAL local_infile = 1;'
# In the order of the suite's own list, without the one that needs the files of a test run.
programs=(conc336 bulk1 performance basic-t fetch charset logs cursor errors view ps ps_bugs sp result connection misc
  ps_new thread features-10_2 rpl_api dyncol async)

prepare() {
  need gcc build-essential
  need cmake cmake
  [ -e /usr/include/openssl/ssl.h ] || install_packages libssl-dev
  [ -e /usr/include/zlib.h ] || install_packages zlib1g-dev
  debian_source mariadb 1:10.11.18-0+deb12u1
  local build=$source/libmariadb/build-suite
  [ -e "$build/.built" ] && return 0
  mkdir -p "$build"
  (cd "$build" && cmake .. -DWITH_UNIT_TESTS=ON -DCMAKE_BUILD_TYPE=Release -DWITH_CURL=OFF -DCMAKE_C_FLAGS=-w && make -j2) \
    >"$source.log" 2>&1 || { tail -n 20 "$source.log"; return 1; }
  touch "$build/.built"
}

run_suite() {
  local program
  # Some read files of their own folder.
  cp -r "$source/libmariadb/unittest/libmariadb" tests
  cd tests
  for program in "${programs[@]}"; do
    echo "$program.t .. "
    MARIADB_CC_TEST=1 MYSQL_TEST_HOST=$host MYSQL_TEST_PORT=$port MYSQL_TEST_USER=$user MYSQL_TEST_PASSWD=$password \
      MYSQL_TEST_DB=testc MYSQL_TEST_TLS=0 timeout 300 "$source/libmariadb/build-suite/unittest/libmariadb/$program" 2>&1 || true
    echo
  done >test.log
  cat test.log
  python3 "$here/results.py" tap test.log >"$results"
}
