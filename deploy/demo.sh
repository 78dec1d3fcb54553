#!/usr/bin/env bash
# The demo: a small multi-region shop on nine MariaDB servers with Geogate in front, on this machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy/demo.sh [--detach | --stop] [--latency] [--dir DIR] [--port-base N] [--binary FILE]

Installs MariaDB server from the system's packages if it is missing, builds Geogate, starts the demo
cluster and the proxy, loads the sample data, and runs until Ctrl-C; then nothing is left.

  --detach       start everything and return; end it with --stop
  --stop         stop a detached demo and remove its folder
  --latency      round trips between regions: us-east to eu-west 80 ms, us-east to ap-south 150 ms,
                 eu-west to ap-south 200 ms
  --dir DIR      where data and logs lie (default target/demo)
  --port-base N  MySQL protocol on N, control HTTP on N+74, servers from N+94, links from N+134 (default 15306)
  --binary FILE  use this geogate instead of building one

Example: deploy/demo.sh --detach && mariadb -h127.0.0.1 -P15306 -udemo -pdemo shop
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/tests/install.sh"
. "$root/tests/servers.sh"

mode=foreground dir='' base=15306 binary='' latency=no
while [ $# -gt 0 ]; do
  case $1 in
    --detach) mode=detach ;;
    --stop) mode=stop ;;
    --dir) dir=${2:?--dir needs a folder}; shift ;;
    --port-base) base=${2:?--port-base needs a number}; shift ;;
    --binary) binary=${2:?--binary needs a file}; shift ;;
    --latency) latency=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ $base =~ ^[0-9]+$ ]] && [ "$base" -ge 1024 ] && [ "$base" -le 65000 ] || {
  echo "error: --port-base must be a number from 1024 to 65000" >&2
  exit 2
}
target=${CARGO_TARGET_DIR:-$root/target}
dir=${dir:-$target/demo}
marker=.geogate-demo
control=$((base + 74)) first=$((base + 94))

# name port-offset keyspace range region source ('-' for a primary)
servers=(
  "catalog          0 catalog -     us-east  -"
  "catalog-eu       1 catalog -     eu-west  catalog"
  "catalog-ap       2 catalog -     ap-south catalog"
  "shop-us         10 shop    -02   us-east  -"
  "shop-us-replica 11 shop    -02   eu-west  shop-us"
  "shop-eu         12 shop    02-03 eu-west  -"
  "shop-eu-replica 13 shop    02-03 eu-west  shop-eu"
  "shop-ap         14 shop    03-   ap-south -"
  "shop-ap-replica 15 shop    03-   us-east  shop-ap"
)

# Stops every process that is recorded in the folder and still is what was recorded, then removes
# the folder. Safe to call twice.
stop_all() {
  [ -e "$dir/$marker" ] || return 0
  local file pid
  for file in "$dir"/proxy.pid "$dir"/*/demo.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    if [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir/"; then
      kill -TERM "$pid" 2>/dev/null || true
    fi
  done
  local waited=0
  for file in "$dir"/proxy.pid "$dir"/*/demo.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    while tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir/"; do
      sleep 0.1
      waited=$((waited + 1))
      [ "$waited" -lt 150 ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
    done
  done
  rm -rf "$dir"
}

if [ "$mode" = stop ]; then
  if [ -e "$dir/$marker" ]; then
    stop_all
    echo "the demo in $dir is stopped, its folder is removed"
  else
    echo "no demo runs in $dir"
  fi
  exit 0
fi

if [ -e "$dir/$marker" ]; then
  echo "error: a demo is in $dir already; stop it with: deploy/demo.sh --stop --dir $dir" >&2
  exit 1
fi
if [ -d "$dir" ] && [ -n "$(ls -A "$dir")" ]; then
  echo "error: $dir is not empty; choose another folder with --dir" >&2
  exit 1
fi

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need setpriv util-linux
# build CARGO-OPTION...
build() {
  command -v cargo >/dev/null || { echo "error: cargo is missing; install Rust (https://rustup.rs)" >&2; exit 1; }
  need cc build-essential
  (cd "$root" && cargo build --quiet "$@")
}
# The relay that makes distance is not shipped; it is built where it is wanted.
relay=()
[ "$latency" = no ] || relay=(--example delay)
if [ -z "$binary" ]; then
  echo "building geogate (release; some minutes the first time)"
  build --release --bin geogate "${relay[@]}"
  binary=$target/release/geogate delay=$target/release/examples/delay
elif [ "$latency" = yes ]; then
  echo "building the relay that makes distance"
  build "${relay[@]}"
  delay=$target/debug/examples/delay
fi
binary=$(realpath "$binary")

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
touch "$dir/$marker"
sockets=$(mktemp -d)
# In the foreground everything ends with this script, however it ends.
launcher=(setsid)
if [ "$mode" = foreground ]; then
  launcher=(setsid setpriv --pdeathsig TERM --)
fi
cleanup() {
  local code=$?
  trap - EXIT
  if [ "$code" -ne 0 ] && [ "$code" -lt 128 ]; then
    echo "error: the demo did not start; from its logs:" >&2
    grep -hs 'ERROR' "$dir"/*/log >&2 || true
    tail -n 20 "$dir/proxy.log" >&2 2>/dev/null || true
  fi
  stop_all
  rm -rf "$sockets"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

small=(
  --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci
  --innodb-buffer-pool-size=32M --innodb-log-file-size=8M
  --innodb-flush-log-at-trx-commit=2 --innodb-use-native-aio=OFF --key-buffer-size=4M
  --aria-pagecache-buffer-size=8M --max-connections=400 --log-bin=binlog --binlog-format=ROW
  --log-slave-updates=ON --gtid-strict-mode=ON --relay-log=relay
)

echo "starting nine MariaDB servers in three regions"
make_data "$dir/template" <<'SQL'
CREATE USER geogate@'%' IDENTIFIED BY 'geogate';
GRANT ALL ON *.* TO geogate@'%' WITH GRANT OPTION;
CREATE USER repl@'%' IDENTIFIED BY 'repl';
GRANT REPLICATION SLAVE ON *.* TO repl@'%';
SQL

declare -A port_of
id=0
for server in "${servers[@]}"; do
  read -r name offset keyspace range region source <<<"$server"
  id=$((id + 1))
  port=$((first + offset))
  port_of[$name]=$port
  copy_data "$dir/template" "$dir/$name"
  start_server "$dir/$name" "$port" "$dir/$name/log" --server-id="$id" "${small[@]}"
  echo "$started" >"$dir/$name/demo.pid"
done
rm -rf "$dir/template"

on() { # on SERVER: runs the SQL of its input as the proxy's account
  local name=$1
  shift
  mariadb --no-defaults -h127.0.0.1 -P"${port_of[$name]}" -ugeogate -pgeogate "$@"
}
for server in "${servers[@]}"; do
  read -r name _ <<<"$server"
  wait_ready "${port_of[$name]}" geogate "$dir/$name/log" "$(cat "$dir/$name/demo.pid")"
done
# With --latency, who is in another region reaches a server over a link that holds bytes back.
round_trip() { # round_trip REGION REGION: milliseconds
  case "$1 $2" in
    "us-east eu-west" | "eu-west us-east") echo 80 ;;
    "us-east ap-south" | "ap-south us-east") echo 150 ;;
    "eu-west ap-south" | "ap-south eu-west") echo 200 ;;
    *) echo 0 ;;
  esac
}
declare -A region_of
for server in "${servers[@]}"; do
  read -r name offset keyspace range region source <<<"$server"
  region_of[$name]=$region
done
mkdir "$dir/links"
next_link=$((base + 134))
# link SERVER REGION: sets `reached` to the port at which somebody in REGION reaches SERVER.
link() {
  local ms
  ms=$(round_trip "$2" "${region_of[$1]}")
  reached=${port_of[$1]}
  if [ "$latency" = yes ] && [ "$ms" -gt 0 ]; then
    reached=$next_link
    next_link=$((next_link + 1))
    echo "127.0.0.1:$reached 127.0.0.1:${port_of[$1]} $ms" >>"$dir/links/list"
  fi
}
declare -A proxy_port source_port
for server in "${servers[@]}"; do
  read -r name offset keyspace range region source <<<"$server"
  link "$name" us-east
  proxy_port[$name]=$reached
  if [ "$source" != - ]; then
    link "$source" "$region"
    source_port[$name]=$reached
  fi
done
if [ -e "$dir/links/list" ]; then
  start_program "$dir/links/log" "$delay" --links "$dir/links/list"
  echo "$started" >"$dir/links/demo.pid"
fi

for server in "${servers[@]}"; do
  read -r name offset keyspace range region source <<<"$server"
  if [ "$source" != - ]; then
    on "$name" <<SQL
SET GLOBAL gtid_slave_pos = '';
CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${source_port[$name]}, MASTER_USER = 'repl',
  MASTER_PASSWORD = 'repl', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;
START SLAVE;
SET GLOBAL read_only = ON;
SQL
  else
    echo "CREATE DATABASE $keyspace" | on "$name"
    cat "$root/deploy/demo/reference.sql" "$root/deploy/demo/$keyspace.sql" | on "$name" "$keyspace"
  fi
done

cp -r "$root/vschema/demo" "$dir/vschema"
{
  cat <<TOML
# Written by deploy/demo.sh; deploy/geogate.example.toml explains every key.
[proxy]
region = "us-east"
[listen]
mysql = "127.0.0.1:$base"
[control]
address = "127.0.0.1:$control"
[[control.token]]
token = "admin"
role = "admin"
[vschema]
path = "vschema"
[backend]
user = "geogate"
password = "geogate"
[[user]]
name = "demo"
password = "demo"
[[user]]
name = "admin"
password = "admin"
operator = true
[[region]]
name = "us-east"
[[region]]
name = "eu-west"
[[region]]
name = "ap-south"
TOML
  last_keyspace='' last_range=''
  for server in "${servers[@]}"; do
    read -r name offset keyspace range region source <<<"$server"
    if [ "$keyspace" != "$last_keyspace" ]; then
      printf '[[keyspace]]\nname = "%s"\n' "$keyspace"
      last_range=''
    fi
    if [ "$range" != "$last_range" ]; then
      printf '  [[keyspace.shard]]\n  range = "%s"\n' "$range"
    fi
    role=replica
    [ "$source" = - ] && role=primary
    printf '    [[keyspace.shard.server]]\n    address = "127.0.0.1:%s"\n    region = "%s"\n    role = "%s"\n' \
      "${proxy_port[$name]}" "$region" "$role"
    last_keyspace=$keyspace last_range=$range
  done
} >"$dir/geogate.toml"

start_program "$dir/proxy.log" "$binary" serve --config "$dir/geogate.toml"
echo "$started" >"$dir/proxy.pid"
wait_ready "$base" demo "$dir/proxy.log" "$started"

through() { mariadb --no-defaults -h127.0.0.1 -P"$base" -udemo -pdemo "$@"; }
echo "loading the sample data through the proxy"
awk -f "$root/deploy/demo/data.awk" | through --default-character-set=utf8mb4 shop

cat <<TEXT

Geogate is ready.

  mariadb -h127.0.0.1 -P$base -udemo -pdemo shop

Things to try there:

  SELECT name, country FROM customers WHERE region = 2 AND id = 7;     -- one shard, in eu-west
  SELECT COUNT(*) FROM customers WHERE region = 3;                     -- one region
  SELECT region, COUNT(*), SUM(total) FROM orders GROUP BY region;     -- all shards, merged
  SELECT c.name, k.name FROM customers c JOIN countries k ON k.code = c.country
    WHERE c.region = 1 ORDER BY c.name LIMIT 5;                        -- a reference table joins anywhere
  INSERT INTO customers (region, name, email, country, joined)
    VALUES (2, 'You', 'you@example.org', 'DE', CURDATE());             -- the id comes from a sequence
  SHOW VITESS_SHARDS;
  SET read_consistency = 'local'; SELECT COUNT(*) FROM catalog.products;

  curl http://127.0.0.1:$control/metrics
  $binary explain --vschema $dir/vschema --database shop "SELECT * FROM orders WHERE region = 2"

Regions: 1 us-east, 2 eu-west, 3 ap-south. Configuration and logs: $dir
TEXT

if [ "$mode" = detach ]; then
  trap - EXIT INT TERM HUP
  rm -rf "$sockets"
  echo "Stop it with: deploy/demo.sh --stop --dir $dir"
  exit 0
fi
echo "Ctrl-C ends the demo."
# A server that dies is part of the play; the demo ends when the proxy does.
wait "$(cat "$dir/proxy.pid")" || true
echo "geogate has ended" >&2
exit 1
