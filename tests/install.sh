# Installs Debian packages when a command is missing. Sourced by the scripts below tests and by
# deploy/demo.sh; defines `need` and `install_packages` and nothing else.

# need COMMAND PACKAGE...: makes sure that COMMAND exists.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  install_packages "${@:2}"
}

# install_packages PACKAGE...: installs them with apt-get, quietly unless it fails. However it ends,
# nothing but the packages is left.
install_packages() (
  root=() log='' policy=''
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: please install $* (this system has no apt-get)" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "error: please install $* (no root rights here)" >&2
      exit 1
    }
    root=(sudo)
  fi
  clean_up() {
    [ -z "$policy" ] || "${root[@]}" rm -f "$policy"
    rm -f "$log"
  }
  # The caller is to see that it was a signal, or it would go on.
  end_by() {
    trap - EXIT "$1"
    clean_up
    kill -s "$1" "$BASHPID"
  }
  trap clean_up EXIT
  trap 'end_by INT' INT
  trap 'end_by TERM' TERM
  trap 'end_by HUP' HUP
  echo "installing $* (apt-get)"
  log=$(mktemp)
  # Packages must not start services of their own: every server here belongs to the caller. One of
  # ours that is there was left by a machine that stopped.
  local ours='# By tests/install.sh, while it installs.' file=/usr/sbin/policy-rc.d
  if [ ! -e "$file" ] || grep -qxF "$ours" "$file"; then
    policy=$file
    printf '#!/bin/sh\n%s\nexit 101\n' "$ours" | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod +x "$policy"
  fi
  { "${root[@]}" apt-get update -q &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1 || {
    code=$?
    tail -n 20 "$log" >&2
    echo "error: could not install $*" >&2
    exit "$code"
  }
)
