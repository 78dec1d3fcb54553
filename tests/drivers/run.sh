#!/usr/bin/env bash
# Ordinary drivers and the mariadb client against Geogate, and against plain MariaDB to prove the tests.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/drivers/run.sh HOST PORT [--database NAME] [--account KIND:USER:PASSWORD]...
                            [--tls no|yes|both] [--mode table|demo] [--only DRIVER]
       tests/drivers/run.sh --start [--binary FILE]     (own server, and Geogate in front of it)
       tests/drivers/run.sh --demo [--binary FILE]      (starts the demo, ends it afterwards)

Runs PyMySQL, go-sql-driver/mysql and the mariadb client, each with every account and with and without
TLS. KIND is a word for the output (native, sha2). Mode `table` needs the tables driver_rows and
driver_numbers (tests/drivers/tables.sql); mode `demo` needs the demo's shop.

Example: tests/drivers/run.sh 127.0.0.1 15306 --database shop --account native:demo:demo --mode demo
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/drivers
. "$root/tests/install.sh"
. "$root/tests/servers.sh"
. "$here/programs.sh"
target=${CARGO_TARGET_DIR:-$root/target}

host='' port='' database=drivers accounts=() tls=both mode=table action=run only='' binary=''
while [ $# -gt 0 ]; do
  case $1 in
    --database) database=${2:?}; shift ;;
    --account) accounts+=("${2:?}"); shift ;;
    --tls) tls=${2:?}; shift ;;
    --mode) mode=${2:?}; shift ;;
    --only) only=${2:?}; shift ;;
    --binary) binary=${2:?}; shift ;;
    --start) action=start ;;
    --demo) action=demo ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
    *) if [ -z "$host" ]; then host=$1; else port=$1; fi ;;
  esac
  shift
done

# The mariadb client: scripts, formats, errors. Same arguments as the drivers.
client_checks() {
  local host=$1 port=$2 database=$3 user=$4 password=$5 tls=$6 mode=$7 passed=0 failed=0
  local options=(--no-defaults -h"$host" -P"$port" -u"$user" -p"$password" --default-character-set=utf8mb4)
  if [ "$tls" = yes ]; then options+=(--ssl); else options+=(--skip-ssl); fi
  check() { # check NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      printf 'FAILED %s: expected %q, got %q\n' "$1" "$2" "$3"
    fi
  }
  run() { mariadb "${options[@]}" "$database" -N -B "$@" 2>&1 || true; }
  check 'one value' 1 "$(run -e 'SELECT 1')"
  check 'several statements' $'1\n2' "$(printf 'SELECT 1;\nSELECT 2;\n' | run)"
  check unicode 'zürich 李雷' "$(run -e "SELECT 'zürich 李雷'")"
  check 'NULL' NULL "$(run -e 'SELECT NULL')"
  check database "$database" "$(run -e 'SELECT DATABASE()')"
  check 'a vertical result' '*************************** 1. row ***************************
a: 1' "$(mariadb "${options[@]}" "$database" -e 'SELECT 1 AS a\G' 2>&1)"
  check 'a syntax error' 1064 "$(run -e 'SELEC 1' | sed -n 's/^ERROR \([0-9]*\).*/\1/p')"
  check 'a missing table' 1146 "$(run -e 'SELECT * FROM no_such_table' | sed -n 's/^ERROR \([0-9]*\).*/\1/p')"
  check 'going on after an error' $'1\n2' "$(printf 'SELECT 1;\nSELEC 1;\nSELECT 2;\n' | run --force | grep -E '^[0-9]$')"
  check 'a session variable' 5 "$(run -e 'SET @a = 5; SELECT @a')"
  check 'a wrong password' 1045 "$(mariadb "${options[@]}" -pwrong -e 'SELECT 1' 2>&1 | sed -n 's/^ERROR \([0-9]*\).*/\1/p')"
  local cipher
  cipher=$(mariadb "${options[@]}" "$database" -e status 2>&1 | sed -n 's/^SSL:[[:space:]]*//p')
  case $cipher in *[Nn]ot\ in\ use*) cipher=no ;; *Cipher*) cipher=yes ;; esac
  check 'encryption' "$tls" "$cipher"
  if [ "$mode" = demo ]; then
    check 'all regions' 3 "$(run -e 'SELECT COUNT(DISTINCT region) FROM countries')"
    check 'one customer' 1 "$(run -e 'SELECT COUNT(*) FROM customers WHERE region = 2 AND id = 2')"
    check 'ordered over shards' $'1\n2\n3' "$(run -e 'SELECT id FROM customers ORDER BY id LIMIT 3')"
  else
    check 'a transaction' $'1\n0' "$(run -e "DELETE FROM driver_rows WHERE id = 500; BEGIN;
      INSERT INTO driver_rows (id) VALUES (500); SELECT COUNT(*) FROM driver_rows WHERE id = 500;
      ROLLBACK; SELECT COUNT(*) FROM driver_rows WHERE id = 500")"
    check 'a prepared statement in SQL' 42 "$(run -e "PREPARE s FROM 'SELECT ? + 1'; SET @n = 41; EXECUTE s USING @n; DEALLOCATE PREPARE s")"
  fi
  echo "$passed passed, $failed failed"
}

run_all() { # run_all LABEL HOST PORT DATABASE TLS MODE ACCOUNT...
  local label=$1 host=$2 port=$3 database=$4 tls=$5 mode=$6 account kind user password secure
  shift 6
  [ "$tls" != both ] || tls='no yes'
  echo "$label"
  for account in "$@"; do
    IFS=: read -r kind user password <<<"$account"
    for secure in $tls; do
      local name="$kind, TLS $secure" arguments=("$host" "$port" "$database" "$user" "$password" "$secure" "$mode")
      case ${only:-python} in python) report "PyMySQL, $name" "$target/drivers/venv/bin/python" "$here/pymysql_driver.py" "${arguments[@]}" ;; esac
      case ${only:-go} in go) report "go-sql-driver, $name" "$target/drivers/go-driver" "${arguments[@]}" ;; esac
      case ${only:-client} in client) report "mariadb client, $name" client_checks "${arguments[@]}" ;; esac
    done
  done
}

need mariadb mariadb-client-core
mkdir -p "$target/drivers"
case ${only:-python} in python) prepare_python 'pymysql==1.1.2' 'cryptography>=42' ;; esac
case ${only:-go} in go) prepare_go . go-driver ;; esac

start_own() {
  need mariadbd mariadb-server-core
  need openssl openssl
  need setpriv util-linux
  binary=${binary:-$target/debug/geogate}
  work=$(mktemp -d "$target/drivers/run.XXXXXX")
  sockets=$(mktemp -d)
  finish() {
    stop_started
    rm -rf "$work" "$sockets"
  }
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  local server proxy
  next_port=$((19000 + $$ % 400 * 2))
  free_port
  server=$port
  free_port
  proxy=$port
  make_certificate "$work"
  make_data "$work/server" <<'SQL'
CREATE USER native@'%' IDENTIFIED BY 'native secret';
GRANT ALL ON *.* TO native@'%';
CREATE USER geogate@'%' IDENTIFIED BY 'geogate';
GRANT ALL ON *.* TO geogate@'%' WITH GRANT OPTION;
SQL
  start_server "$work/server" "$server" "$work/server.log" --character-set-server=utf8mb4 \
    --ssl-cert="$work/cert.pem" --ssl-key="$work/key.pem"
  wait_ready "$server" geogate "$work/server.log" "$started"
  { echo 'CREATE DATABASE drivers; USE drivers;'; cat "$here/tables.sql"; } |
    mariadb --no-defaults -h127.0.0.1 -P"$server" -ugeogate -pgeogate
  run_all 'plain MariaDB (proves the tests)' 127.0.0.1 "$server" drivers both table 'native:native:native secret'

  mkdir -p "$work/vschema"
  echo '{ "sharded": false, "tables": {} }' >"$work/vschema/drivers.json"
  local native sha2
  native=$(printf 'native secret' | openssl dgst -sha1 -binary | openssl dgst -sha1 -r | cut -c1-40 | tr a-f A-F)
  sha2=$(printf 'sha2 secret' | openssl dgst -sha256 -binary | openssl dgst -sha256 -r | cut -c1-64 | tr a-f A-F)
  cat >"$work/geogate.toml" <<TOML
[listen]
mysql = "127.0.0.1:$proxy"
[vschema]
path = "vschema"
[backend]
user = "geogate"
password = "geogate"
[[user]]
name = "native"
hash = { native = "*$native" }
[[user]]
name = "sha2"
hash = { sha2 = "$sha2" }
[[user]]
name = "geogate"
password = "geogate"
[[keyspace]]
name = "drivers"
  [[keyspace.shard]]
  range = "-"
    [[keyspace.shard.server]]
    address = "127.0.0.1:$server"
    role = "primary"
TOML
  start_program "$work/proxy.log" "$binary" serve --config "$work/geogate.toml"
  wait_ready "$proxy" geogate "$work/proxy.log" "$started"
  run_all 'Geogate' 127.0.0.1 "$proxy" drivers both table 'native:native:native secret' \
    'sha2:sha2:sha2 secret' 'any:geogate:geogate'
  [ "$failed" -eq 0 ] || tail -n 20 "$work/proxy.log"
}
start_demo() {
  local base=17306
  work=$(mktemp -d "$target/drivers/demo.XXXXXX")
  binary=${binary:-$target/debug/geogate}
  trap '"$root/deploy/demo.sh" --stop --dir "$work/demo" >/dev/null; rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  "$root/deploy/demo.sh" --detach --dir "$work/demo" --port-base "$base" --binary "$binary" >"$work/out" || {
    cat "$work/out"
    exit 1
  }
  run_all 'the demo' 127.0.0.1 "$base" shop both demo native:demo:demo
}

case $action in
  start) start_own ;;
  demo) start_demo ;;
  run)
    [ -n "$port" ] || { usage >&2; exit 2; }
    [ ${#accounts[@]} -gt 0 ] || accounts=(native:demo:demo)
    run_all "$host:$port" "$host" "$port" "$database" "$tls" "$mode" "${accounts[@]}"
    ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
