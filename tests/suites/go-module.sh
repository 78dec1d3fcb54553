# Runs the tests of the packages $packages of the Go module $module at $version; sourced by suite/go-*.sh, which
# define run_tests: it runs the test program $1 of a package.

prepare() {
  need go golang-go
  export GOMODCACHE=$cache/go-modules GOCACHE=$cache/go-cache GOFLAGS='-modcacherw -mod=mod' GOTOOLCHAIN=local
  go mod download "$module@$version"
  programs=$cache/go-tests-${module//\//_}-$version
  [ -e "$programs/.built" ] && return 0
  rm -rf "$programs"
  mkdir -p "$programs"
  cp -rL "$GOMODCACHE/$module@$version" "$programs/source"
  chmod -R u+w "$programs/source"
  local package
  (
    cd "$programs/source"
    [ -e go.mod ] || go mod init "$module"
    patch_source
    go mod tidy >/dev/null 2>&1 || true
    for package in "${packages[@]}"; do go test -vet=off -c -o "$programs/$(basename "$package").test" "$package"; done
  )
  touch "$programs/.built"
}

patch_source() { :; }

run_suite() {
  cp -r "$programs/source" source
  local package
  for package in "${packages[@]}"; do
    (cd "source/$package" && run_tests "$programs/$(basename "$package").test" 2>&1) || true
  done >test.log
  cat test.log
  python3 "$here/results.py" go test.log >"$results"
}
