#!/usr/bin/env bash
# Drivers that prepare at the server, with sessions whose parameters have different types, against
# Oracle MySQL itself and through Geogate.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/drivers/typed.sh --mysql ROOT [--binary FILE] [--only DRIVER]

Starts two servers of the MySQL in ROOT (tests/mysql_root.sh makes one) and Geogate with few connections
to them, once for one server and once for two shards. Connector/J (with and without its
cache of statements), go-sql-driver/mysql and Connector/Python (its Python part) run the statements of
tests/drivers/typed/statements.txt there; every result must be the one of a plain server, over shards the
one of a statement that was just prepared. Where a session changes the types of a statement, or is in a
transaction on another connection, a refusal with GG15010 is right too; these are counted.

DRIVER is java, go or python.

Example: tests/drivers/typed.sh --mysql target/mysql --only go
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/drivers
. "$root/tests/install.sh"
. "$root/tests/servers.sh"
. "$here/programs.sh"
target=${CARGO_TARGET_DIR:-$root/target}

mysql='' binary=$target/debug/geogate only=''
while [ $# -gt 0 ]; do
  case $1 in
    --mysql) mysql=${2:?}; shift ;;
    --binary) binary=${2:?}; shift ;;
    --only) only=${2:?}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[ -e "$mysql/complete" ] || { echo "error: no MySQL in '$mysql'" >&2; usage >&2; exit 2; }

need mariadb mariadb-client-core
need setpriv util-linux
mkdir -p "$target/drivers"
case ${only:-java} in java) prepare_java 9.7.0 "$here/typed/Typed.java" ;; esac
case ${only:-python} in python) prepare_python 'mysql-connector-python==9.5.0' ;; esac
case ${only:-go} in go) prepare_go ./typed typed-go ;; esac

work=$(mktemp -d "$mysql/typed.XXXXXX")
inside=/${work##*/} # as the servers see it
finish() {
  stop_started
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

next_port=$((12000 + $$ % 400 * 10))

server_options=(--no-defaults --user=root --bind-address=127.0.0.1 --mysqlx=OFF --skip-name-resolve
  --innodb-redo-log-capacity=16M --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0
  --innodb-use-native-aio=OFF --skip-log-bin --secure-file-priv= --performance-schema=OFF)
initialise() {
  cat >"$work/accounts.sql" <<'SQL'
CREATE USER driver@'%' IDENTIFIED BY 'driver';
GRANT ALL ON *.* TO driver@'%';
CREATE USER geogate@'%' IDENTIFIED BY 'geogate';
GRANT ALL ON *.* TO geogate@'%' WITH GRANT OPTION;
SQL
  chroot "$mysql" mysqld "${server_options[@]}" --initialize-insecure --datadir="$inside/first" \
    --init-file="$inside/accounts.sql" >"$work/initialise.log" 2>&1 || {
    tail -n 20 "$work/initialise.log" >&2
    exit 1
  }
  rm -f "$work/first/auto.cnf"
  cp -a "$work/first" "$work/second"
}
start_mysql() { # start_mysql NAME: sets $port
  free_port
  mkdir "$work/$1.tmp"
  start_program "$work/$1.log" chroot "$mysql" mysqld "${server_options[@]}" --datadir="$inside/$1" \
    --tmpdir="$inside/$1.tmp" --port="$port" --socket="$inside/$1.sock" --pid-file="$inside/$1.pid"
}

# sql PORT [DATABASE]: runs standard input.
sql() { mariadb --no-defaults --default-character-set=utf8mb4 -h127.0.0.1 -P"$1" -udriver -pdriver "${@:2}"; }
tables() { sql "$1" -e "CREATE DATABASE $2" && sql "$1" "$2" <"$here/typed/tables.sql"; }
fill() { # fill PORT DATABASE
  local table
  for table in seen changed; do
    { echo "INSERT INTO $table VALUES"; cat "$here/typed/rows.sql"; } | sql "$1" "$2"
  done
}

initialise
start_mysql first
first=$port
wait_ready "$first" driver "$work/first.log" "$started"
start_mysql second
second=$port
wait_ready "$second" driver "$work/second.log" "$started"
for database in plain one two; do tables "$first" "$database"; done
tables "$second" two
fill "$first" plain

mkdir -p "$work/one/vschema" "$work/two/vschema"
echo '{ "sharded": false, "tables": {} }' >"$work/one/vschema/one.json"
cat >"$work/two/vschema/two.json" <<'JSON'
{
  "sharded": true,
  "vindexes": { "hash": { "type": "hash" } },
  "tables": {
    "seen": { "column_vindexes": [{ "column": "id", "name": "hash" }] },
    "changed": { "column_vindexes": [{ "column": "id", "name": "hash" }] }
  }
}
JSON
start_proxy() { # start_proxy KEYSPACE <SHARDS: a Geogate for one keyspace; sets $proxy
  free_port
  proxy=$port
  { cat <<TOML; cat; } >"$work/$1/geogate.toml"
[listen]
mysql = "127.0.0.1:$proxy"
[vschema]
path = "vschema"
[backend]
user = "geogate"
password = "geogate"
[limits]
server_connections_max = 2
[[user]]
name = "driver"
password = "driver"
[[keyspace]]
name = "$1"
TOML
  start_program "$work/proxy.log" "$binary" serve --config "$work/$1/geogate.toml"
  wait_ready "$proxy" driver "$work/proxy.log" "$started"
  fill "$proxy" "$1"
}
shard() { # shard RANGE PORT
  cat <<TOML
  [[keyspace.shard]]
  range = "$1"
    [[keyspace.shard.server]]
    address = "127.0.0.1:$2"
    role = "primary"
TOML
}

programs() { # programs KEYSPACE KEPT|ANEW
  local where=("$here/typed" "$first" plain "$proxy" "$@") cache
  case ${only:-java} in java)
    for cache in true false; do
      report "Connector/J, cache $cache" java -cp "$java_classes:$java_classes/*" Typed "${where[@]}" "cachePrepStmts=$cache"
    done ;;
  esac
  case ${only:-go} in go) report go-sql-driver "$target/drivers/typed-go" "${where[@]}" ;; esac
  case ${only:-python} in python)
    report Connector/Python "$target/drivers/venv/bin/python" "$here/typed/typed.py" "${where[@]}" ;;
  esac
}
echo 'Geogate in front of one server'
start_proxy one < <(shard - "$first")
programs one KEPT
echo 'Geogate in front of two shards'
start_proxy two < <(shard -80 "$first" && shard 80- "$second")
programs two ANEW
[ "$failed" -eq 0 ] || tail -n 20 "$work/proxy.log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
