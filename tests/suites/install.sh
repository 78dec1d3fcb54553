# Gets pinned sources of test suites into $cache. Sourced by tests/suites/run.sh.

# prepare_python_base: a Python with venv.
prepare_python_base() {
  need python3 python3 python3-venv
  suites_python=python3
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    # Debian's python3 comes without venv.
    install_packages python3-venv
    suites_python=/usr/bin/python3
  fi
}

# venv NAME PACKAGE...: a virtual environment with exactly these packages; sets $python.
venv() {
  local dir=$cache/venv-$1 wanted
  shift
  python=$dir/bin/python
  wanted=$(printf '%s\n' "$@")
  [ -x "$python" ] && [ "$(cat "$dir/wanted" 2>/dev/null)" = "$wanted" ] && return 0
  rm -rf "$dir"
  "$suites_python" -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check --upgrade 'pip==25.3'
  "$dir/bin/pip" install --quiet "$@"
  printf '%s\n' "$wanted" >"$dir/wanted"
}

# pypi_source NAME VERSION: the unpacked source package; sets $source.
pypi_source() {
  local name=$1 version=$2 fetch
  source=$cache/$name-${version//:/_}
  [ -e "$source" ] && return 0
  venv fetch 'setuptools==80.9.0' 'wheel==0.45.1'
  fetch=$(mktemp -d "$cache/fetch.XXXXXX")
  "$cache/venv-fetch/bin/pip" download --quiet --no-deps --no-binary "$name" --dest "$fetch" "$name==$version"
  unpack "$fetch"/*.tar.gz "$source"
  rm -rf "$fetch"
}

# debian_source NAME VERSION: the unpacked upstream part of a Debian source package; sets $source.
# Uses the machine's own package sources, with source packages switched on in a copy.
debian_source() {
  local name=$1 version=$2 fetch options archive
  source=$cache/$name-${version//:/_}
  [ -e "$source" ] && return 0
  need dpkg-source dpkg-dev
  fetch=$(mktemp -d "$cache/fetch.XXXXXX")
  mkdir -p "$fetch/lists/partial" "$fetch/parts" "$fetch/cache"
  local list
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$list" ] || sed -n 's/^deb /deb-src /p' "$list" >"$fetch/parts/$(basename "$list" .list).list"
  done
  for list in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$list" ] || sed 's/^Types:.*/Types: deb-src/' "$list" >"$fetch/parts/$(basename "$list")"
  done
  options=(-q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$fetch/parts"
    -o Dir::State::lists="$fetch/lists" -o Dir::Cache="$fetch/cache" -o APT::Sandbox::User=root)
  # A source that has no source packages is of no use here, and no reason to stop.
  apt-get "${options[@]}" update >"$fetch/log" 2>&1 || true
  # Only the upstream archive matters, whatever else of the package may be missing.
  (cd "$fetch" && apt-get "${options[@]}" --download-only --tar-only source "$name=$version") >>"$fetch/log" 2>&1 || true
  archive=$(find "$fetch" -maxdepth 1 -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)
  [ -n "$archive" ] || { tail -n 5 "$fetch/log" >&2; return 1; }
  unpack "$archive" "$source"
  rm -rf "$fetch"
}

# unpack ARCHIVE DIR: its only folder becomes DIR.
unpack() {
  rm -rf "$2.new"
  mkdir -p "$2.new"
  tar -xf "$1" -C "$2.new" --strip-components=1
  mv "$2.new" "$2"
}
