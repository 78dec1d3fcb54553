# Installs Debian packages when a command is missing. Sourced by tests/run.sh, tests/bench/run.sh,
# tests/drivers/run.sh and deploy/demo.sh; defines `need` and `install_packages` and nothing else.

# need COMMAND PACKAGE...: makes sure that COMMAND exists.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  install_packages "${@:2}"
}

# install_packages PACKAGE...: installs them with apt-get, quietly unless it fails.
install_packages() {
  local root=() log
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: please install $* (this system has no apt-get)" >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "error: please install $* (no root rights here)" >&2
      return 1
    }
    root=(sudo)
  fi
  echo "installing $* (apt-get)"
  log=$(mktemp)
  # Packages must not start services of their own: every server here belongs to the caller.
  local policy=/usr/sbin/policy-rc.d code=0
  if [ -e "$policy" ]; then
    policy=
  else
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod +x "$policy"
  fi
  { "${root[@]}" apt-get update -q &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1 || code=$?
  [ -z "$policy" ] || "${root[@]}" rm -f "$policy"
  if [ "$code" -ne 0 ]; then
    tail -n 20 "$log" >&2
    echo "error: could not install $*" >&2
  fi
  rm -f "$log"
  return "$code"
}
