#!/usr/bin/env bash
# A release build that is laid out by a profile of it at work: about a quarter fewer instructions for
# each statement, and half as much code for them. tests/bench/README.md has figures.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/bench/pgo.sh [--seconds N]

  --seconds N   seconds of each workload of the training (default 5)

Builds twice, with a training on a MariaDB of its own in between, and leaves target/pgo/release/geogate.
Needs llvm-profdata of the LLVM that rustc is made with (Debian: package llvm-N).
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/tests/install.sh"
. "$root/tests/servers.sh"

seconds=5
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need sysbench sysbench
need setpriv util-linux
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
need "llvm-profdata-$llvm" "llvm-$llvm"

target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d "${TMPDIR:-/tmp}/geogate-pgo.XXXXXX")
sockets=$work/s
mkdir "$sockets"
finish() { stop_started; rm -rf "$work"; }
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "== build that counts"
RUSTFLAGS="-Cprofile-generate=$work/profile" cargo build --release --manifest-path "$root/Cargo.toml" \
  --target-dir "$target/pgo-counting"

echo "== training"
mkdir "$work/mariadb"
make_data "$work/mariadb" <<'SQL'
CREATE USER bench@'%' IDENTIFIED BY 'bench';
GRANT ALL ON *.* TO bench@'%' WITH GRANT OPTION;
CREATE DATABASE sbtest;
SQL
next_port=$((24000 + $$ % 400 * 5))
free_port; server=$port
start_server "$work/mariadb" "$server" "$work/mariadb.log" --innodb-flush-log-at-trx-commit=0 --max-connections=300
wait_ready "$server" bench "$work/mariadb.log" "$started"
free_port; control=$port
free_port; proxy=$port
geogate=$target/pgo-counting/release/geogate
"$geogate" init --from "mysql://bench:bench@127.0.0.1:$server" --out "$work/geogate" \
  --listen "127.0.0.1:$proxy" --control "127.0.0.1:$control" >"$work/init.log" 2>&1
start_program "$work/geogate.log" "$geogate" serve --config "$work/geogate/geogate.toml"
counted=$started
wait_ready "$proxy" bench "$work/geogate.log" "$counted"
bench() { # bench SCRIPT ARGUMENT...
  sysbench "$1" --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port="$proxy" --mysql-user=bench \
    --mysql-password=bench --mysql-db=sbtest --tables=4 --table-size=10000 --threads=16 "${@:2}"
}
bench oltp_read_write prepare >"$work/prepare.log"
for script in oltp_point_select oltp_read_only oltp_read_write; do
  for mode in auto disable; do
    echo "$script, prepared statements: $mode"
    bench "$script" --time="$seconds" --db-ps-mode="$mode" --mysql-ignore-errors=1213,1205 run >"$work/run.log"
  done
done
kill -TERM "$counted"
wait "$counted" || true
"llvm-profdata-$llvm" merge -o "$work/merged" "$work"/profile/*.profraw

echo "== build by the profile"
RUSTFLAGS="-Cprofile-use=$work/merged" cargo build --release --manifest-path "$root/Cargo.toml" \
  --target-dir "$target/pgo"
echo "built $target/pgo/release/geogate"
