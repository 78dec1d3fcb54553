# Runs the tests of the crate $crate at $version, built with cargo's $arguments; sourced by suite/rust-*.sh.

databases=(suite)
database=/suite
server_sql='SET GLOBAL local_infile = 1;'

prepare() {
  need cargo cargo
  local fetch=$cache/crate-$crate-$version
  programs=$fetch/programs
  [ -e "$programs" ] && return 0
  mkdir -p "$fetch/fetch/src"
  printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
    "$crate" "$version" >"$fetch/fetch/Cargo.toml"
  echo 'fn main() {}' >"$fetch/fetch/src/main.rs"
  (cd "$fetch/fetch" && cargo fetch --quiet)
  rm -rf "$fetch/source"
  cp -rL "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate-$version" "$fetch/source"
  # Some packages leave out files that their tests read.
  [ -z "$(type -t add_fixtures)" ] || (cd "$fetch/source" && add_fixtures)
  # The programs of the tests, built once for both sides.
  (cd "$fetch/source" && CARGO_PROFILE_TEST_DEBUG=0 cargo test --target-dir "$cache/crate-target" --no-run "${arguments[@]}" 2>&1) >"$fetch/log" ||
    { tail -n 20 "$fetch/log"; return 1; }
  sed -n 's/.*Executable.*(\(.*\))$/\1/p' "$fetch/log" >"$programs.new"
  mv "$programs.new" "$programs"
}

run_suite() {
  local program
  [ -z "$(type -t before_tests)" ] || before_tests
  while read -r program; do
    DATABASE_URL="mysql://$user:$password@$host:$port$database" timeout 600 "$program" --test-threads=1 2>&1 || true
  done <"$programs" >test.log
  cat test.log
  python3 "$here/results.py" libtest test.log >"$results"
}
