#!/usr/bin/env bash
# Everything that proves Geogate: format, lints, unit and golden tests, tests on real servers of both
# kinds, driver tests. Installs what is missing from the system's packages, leaves nothing running.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/run.sh [--fast] [--long] [--bench] [--suites] [--with mysql] [--only STAGE]... [--list]

  (nothing)      all stages of the list below
  --fast         format, lints, unit and tidy tests only; needs no server
  --long         also the tests marked as long (ignored by default)
  --bench        also the benchmarks of tests/bench (minutes; needs a quiet machine)
  --suites       also test suites that others wrote (tests/suites; an hour, needs package registries)
  --with mysql   fail where Oracle MySQL cannot be had; without it the run says so and goes on
  --only STAGE   only this stage; may be given several times
  --list         names of the stages

Stage `mysql` installs Oracle MySQL below the target folder (root rights and a Debian mirror; a minute or
two, once), or takes the one in the folder that GEOGATE_TEST_MYSQL names.

Example: tests/run.sh --only blackbox --long
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/install.sh

stages=(format lints unit blackbox mysql drivers demo)
only=() extra=() long=() demanded=no
while [ $# -gt 0 ]; do
  case $1 in
    --fast) only+=(format lints unit) ;;
    --long) long=(--include-ignored) ;;
    --bench) extra+=(bench) ;;
    --suites) extra+=(suites) ;;
    --with)
      [ "${2:-}" = mysql ] || { echo "error: --with knows only mysql" >&2; exit 2; }
      demanded=yes
      shift
      ;;
    --only)
      only+=("${2:?--only needs a stage}")
      [ "$2" != mysql ] || demanded=yes
      shift
      ;;
    --list) printf '%s\n' "${stages[@]}" bench suites; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[ ${#only[@]} -gt 0 ] && stages=("${only[@]}")
[ "$demanded" = no ] || [[ " ${stages[*]} " = *" mysql "* ]] || stages+=(mysql)
stages+=("${extra[@]}")

target=${CARGO_TARGET_DIR:-$PWD/target}
mysql=${GEOGATE_TEST_MYSQL:-$target/mysql}
unset GEOGATE_TEST_MYSQL # the other stages run on MariaDB
mkdir -p "$target"
work=$(mktemp -d "$target/run.XXXXXX")
child=
finish() {
  # The stages stop their own servers; this ends a stage that is still running when we are told to
  # stop, with everything it started.
  if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need_compiler() {
  need cc build-essential
  command -v cargo >/dev/null 2>&1 || {
    echo "error: cargo is missing; install Rust 1.88 or newer (https://rustup.rs)" >&2
    exit 1
  }
}
need_servers() {
  need mariadbd mariadb-server-core
  need mariadb mariadb-client-core
  need mariadb-dump mariadb-client
  need setpriv util-linux
}

stage_format() { cargo fmt --check; }
stage_lints() { cargo clippy --quiet --all-targets -- -D warnings; }
stage_unit() {
  local tests=() file name
  for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    tests+=(--test "$name")
  done
  cargo test --quiet --lib --bins --examples "${tests[@]}" -- "${long[@]}"
  cargo test --quiet --doc
}
stage_blackbox() {
  need_servers
  cargo test --test blackbox -- "${long[@]}"
}
stage_drivers() {
  need_servers
  cargo build --quiet
  tests/drivers/run.sh --start
}
stage_demo() {
  need_servers
  cargo build --quiet
  tests/drivers/run.sh --demo
}
stage_bench() {
  need_servers
  tests/bench/run.sh
  tests/bench/run.sh --instructions
}
stage_suites() {
  need_servers
  cargo build --quiet
  GEOGATE_BIN=$target/debug/geogate tests/suites/run.sh
}
# All blackbox tests once more, on Oracle MySQL, and the drivers that prepare there. The few that are
# about the proxy alone are quick: leaving them out would save seconds of five minutes, and a list of
# the others would have to be kept.
stage_mysql() {
  need setpriv util-linux
  local root code=0
  root=$(tests/mysql_root.sh "$mysql" 2>"$work/mysql.why") || code=$?
  cat "$work/mysql.why" >&2
  if [ "$code" -ne 0 ]; then
    [ "$demanded" = no ] || return 1
    return "$skipped"
  fi
  GEOGATE_TEST_MYSQL=$root cargo test --test blackbox -- "${long[@]}" || code=$?
  cargo build --quiet
  tests/drivers/typed.sh --mysql "$root" || code=$?
  return "$code"
}
note_mysql() {
  cat <<TEXT
******************************************************************************************
**  NOT TESTED ON ORACLE MYSQL: it could not be installed here. Prepared statements,
**  sessions, failover and merged answers were proven on MariaDB only.
**  Reason: $(tail -n 1 "$work/mysql.why")
**  tests/run.sh --only mysql runs that stage alone, and fails without MySQL.
******************************************************************************************
TEXT
}
skipped=77 # the exit code of a stage that cannot run here

need_compiler
passed=0 failed=0 summary=() notes=()
count() { # adds what a test program printed about itself
  local line
  while read -r line; do
    case $line in
      *' passed, '*' failed'*)
        [[ $line =~ ([0-9]+)\ passed[,\;]\ ([0-9]+)\ failed ]] || continue
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        ;;
    esac
  done < <(sed 's/ passed; / passed, /' "$1" | grep -E '[0-9]+ passed, [0-9]+ failed' || true)
}
set -m
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { echo "error: no stage $stage" >&2; exit 2; }
  echo "== $stage"
  start=$SECONDS
  (set -euo pipefail; "stage_$stage") > >(tee "$work/$stage.log") 2>&1 </dev/null &
  child=$!
  code=0
  wait "$child" || code=$?
  child=
  sleep 0.2 # tee writes its last lines
  before=$((passed + failed)) failed_before=$failed
  count "$work/$stage.log"
  if [ "$code" -eq "$skipped" ]; then
    notes+=("note_$stage")
    verdict=SKIPPED
  elif [ "$code" -ne 0 ]; then
    # A stage that fails without naming a failed test counts as one.
    [ "$failed" -gt "$failed_before" ] || failed=$((failed + 1))
    verdict="FAILED (exit $code)"
  else
    [ $((passed + failed)) -gt "$before" ] || passed=$((passed + 1))
    verdict=ok
  fi
  summary+=("$(printf '%-10s %5d s  %s' "$stage" $((SECONDS - start)) "$verdict")")
  echo "== $stage: $verdict, $((SECONDS - start)) s"
done

echo
printf '%s\n' "${summary[@]}"
for note in "${notes[@]}"; do "$note"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
