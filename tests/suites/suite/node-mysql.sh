# mysqljs/mysql, the integration tests of Debian's source package: each script is a test.

databases=(test)
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  need node nodejs
  need npm npm
  debian_source node-mysql 2.18.1+~2.3.2-2
  [ -d "$source/node_modules" ] || (cd "$source" &&
    npm install --silent --no-audit --no-fund --no-save --ignore-scripts --omit=dev bignumber.js@9.0.0 readable-stream@2.3.7 \
      safe-buffer@5.1.2 sqlstring@2.3.1 after@0.8.2 seedrandom@3.0.5 timezone-mock@0.0.7 urun@0.0.8 utest@0.0.8)
}

run_suite() {
  cp -r "$source" mysql
  cd mysql
  local script message
  for script in test/integration/*/*.js; do
    if message=$(MYSQL_HOST=$host MYSQL_PORT=$port MYSQL_USER=$user MYSQL_PASSWORD=$password MYSQL_DATABASE=test \
      timeout 60 node "$script" 2>&1); then
      printf 'pass\t%s\n' "$script"
    else
      printf 'fail\t%s\t%s\n' "$script" "$(tr '\n\t' '  ' <<<"$message" | head -c 1500)"
    fi
  done | tee "$results"
}
