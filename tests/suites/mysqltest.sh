#!/usr/bin/env bash
# MariaDB's own regression tests (package mariadb-test), straight against a server and through Geogate.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/suites/mysqltest.sh [--smoke] [--all] [--mode text|ps|both] [--filter REGEX] [--suite NAME]...
                                 [--list FILE] [--record FILE] [--binary FILE] [--jobs N] [--port-base N] [--keep]

Runs the tests that a running server can pass without accounts of their own. Each runs on a plain MariaDB first;
if it passes there, it must pass through Geogate in front of that server, as text and with --ps-protocol. A test
that fails there is run directly once more: one that fails by itself does not count.

  --smoke      every tenth test of the suite main
  --all        all suites of plain SQL, not only the usual ones (an hour)
  --mode       text, ps (prepared statements) or both (default)
  --filter     only tests whose name (suite.test) matches
  --suite      only this suite; may be given several times
  --record     write the results into this file, and leave out the tests that stand there already
  --list       only the tests that this file names, one a line
  --binary     the geogate to test (default: GEOGATE_BIN, or the debug binary)
  --keep       keep logs and differences, and say where
  --names      only print which tests are chosen; --why-not: and why others are not

Tests that cannot pass, with the reason, are in mysqltest.exceptions. Exit code 0 if at least 99 % pass in each
mode. Example: tests/suites/mysqltest.sh --mode ps --filter 'main\.ctype'
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/tests/install.sh"
target=${CARGO_TARGET_DIR:-$root/target}
keep=no arguments=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --keep) keep=yes ;;
    *) arguments+=("$argument") ;;
  esac
done

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need mysqltest mariadb-test
need python3 python3
need setpriv util-linux
mkdir -p "$target/suites"
work=$(mktemp -d "$target/suites/mysqltest.XXXXXX")
child=
finish() {
  if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
    # Its servers end with it.
    kill -TERM "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if [ "$keep" = yes ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

python3 "$root/tests/suites/mysqltest.py" --binary "${GEOGATE_BIN:-$target/debug/geogate}" --work "$work" \
  --port-base "${SUITES_PORT:-21700}" "${arguments[@]}" &
child=$!
code=0
wait "$child" || code=$?
child=
exit "$code"
