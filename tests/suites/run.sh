#!/usr/bin/env bash
# Test suites that others wrote, straight against MariaDB and through Geogate in front of it: each test
# must end the same way. See tests/suites/README.md.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/suites/run.sh [--only SUITE]... [--keep] [--list]

  --only SUITE  only this suite; may be given several times
  --keep        keep servers' logs and raw output, and say where
  --list        names of the suites

Installs pinned versions of the suites, starts a new MariaDB for each run and Geogate (the debug binary,
or GEOGATE_BIN) in front of another one, and compares test by test. What may differ, and why, is in
tests/suites/exceptions.txt. Port numbers start at SUITES_PORT (default 21500).

Example: tests/suites/run.sh --only sqlalchemy --keep
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/suites
. "$root/tests/install.sh"
. "$root/tests/servers.sh"
. "$here/install.sh"
. "$here/servers.sh"
target=${CARGO_TARGET_DIR:-$root/target}
cache=$target/suites
binary=${GEOGATE_BIN:-$target/debug/geogate}
next_port=${SUITES_PORT:-21500}

all=() only=() keep=no
for file in "$here"/suite/*.sh; do all+=("$(basename "$file" .sh)"); done
[ ! -e "$here/mysqltest.sh" ] || all+=(mysqltest)
while [ $# -gt 0 ]; do
  case $1 in
    --only) only+=("${2:?--only needs a suite}"); shift ;;
    --keep) keep=yes ;;
    --list) printf '%s\n' "${all[@]}"; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
suites=("${only[@]:-${all[@]}}")
for suite in "${suites[@]}"; do
  [[ " ${all[*]} " = *" $suite "* ]] || { echo "error: no suite $suite" >&2; exit 2; }
done

mkdir -p "$cache"
work=$(mktemp -d "$cache/run.XXXXXX")
sockets=$(mktemp -d)
data=$(data_folder)
child=
finish() {
  # Ends a suite that is still running when we are told to stop, with everything it started.
  if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -rf "$sockets" "$data"
  if [ "$keep" = yes ]; then echo "logs and output: $work" >&2; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need mariadb-tzinfo-to-sql mariadb-client
[ -e /usr/share/zoneinfo/UTC ] || install_packages tzdata
need setpriv util-linux
need openssl openssl
prepare_python_base
if [ -z "${GEOGATE_BIN:-}" ]; then (cd "$root" && cargo build --quiet); fi

# run_side SUITE SIDE PORT: runs the suite on one side; its results are lines "STATUS<tab>test<tab>message".
run_side() {
  local dir=$work/$1.$2
  mkdir -p "$dir/scratch"
  (
    set +m
    side=$2 host=127.0.0.1 port=$3 user=suite password=suite
    scratch=$dir/scratch results=$dir/results out=$dir/output
    : >"$results"
    cd "$scratch"
    run_suite >"$out" 2>&1 </dev/null || true
  )
}

# one_suite SUITE: installs it, runs it, and once more if tests differ: some depend on time, so a test
# differs only if it does both times.
one_suite() {
  local suite=$1 start=$SECONDS
  server_options=() proxy_settings='' server_sql='' databases=(suite)
  . "$here/suite/$suite.sh"
  prepare
  both_sides "$suite"
  compare "$suite" first && return 0
  mv "$work/$suite.direct" "$work/$suite.direct-first"
  mv "$work/$suite.proxy" "$work/$suite.proxy-first"
  both_sides "$suite"
  compare "$suite" second
}

# compare SUITE RUN: RUN is first or second; the first shows nothing if there are differences.
compare() {
  python3 "$here/results.py" compare "$1" "$work/$1.direct" "$work/$1.proxy" "$here/exceptions.txt" \
    "$work/table" $((SECONDS - start)) "$2" "$work/$1.different"
}

# both_sides SUITE: both sides at once, each with its own new server.
both_sides() {
  local suite=$1 first second
  start_servers "$suite"
  run_side "$suite" direct "$direct_port" &
  first=$!
  run_side "$suite" proxy "$proxy_port" &
  second=$!
  wait "$first" "$second"
  stop_started
  rm -rf "${data:?}"/*
}

run_one() {
  if [ "$1" = mysqltest ]; then "$here/mysqltest.sh"; else one_suite "$1"; fi
}

passed=0 failed=0
set -m
for suite in "${suites[@]}"; do
  echo "== $suite"
  (set -euo pipefail; run_one "$suite") > >(tee "$work/$suite.log") 2>&1 </dev/null &
  child=$!
  wait "$child" || true
  child=
  sleep 0.2 # tee writes its last lines
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$work/$suite.log" | tail -n 1 || true)
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  else
    echo "$suite: did not finish"
    failed=$((failed + 1))
  fi
done
echo
if [ -e "$work/table" ]; then
  printf '%-22s %6s %6s %6s %9s %9s %8s\n' suite tests passed same different excepted seconds
  cat "$work/table"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
