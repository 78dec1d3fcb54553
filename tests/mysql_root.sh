#!/usr/bin/env bash
# Installs Oracle MySQL into a folder of its own and prints the folder's path.
#
# Debian's stable release has no MySQL, its unstable one has; debootstrap makes a small root of that
# release, from the mirror that this system uses, and servers run there by chroot. Prints why on
# standard error and fails where that is not possible. A folder that is there already is used.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: tests/mysql_root.sh FOLDER" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/install.sh

root=$1
if [ ! -e "$root/complete" ]; then
  [ "$(id -u)" -eq 0 ] || { echo "MySQL is installed by chroot, which needs root" >&2; exit 1; }
  need debootstrap debootstrap >&2
  mirror=$(awk '/^URIs:/ { print $2; exit } /^deb / { print $2; exit }' \
    /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null)
  [ -n "$mirror" ] || { echo "no Debian mirror is configured" >&2; exit 1; }
  echo "installing MySQL (debootstrap, a minute or two)" >&2
  rm -rf "$root"
  mkdir -p "$root"
  log=$root.log
  if ! {
    debootstrap --variant=minbase --include=ca-certificates sid "$root" "$mirror" &&
      printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" &&
      chmod +x "$root/usr/sbin/policy-rc.d" &&
      chroot "$root" apt-get update -q -o Acquire::Check-Valid-Until=false &&
      chroot "$root" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends mysql-server-core mysql-client-core
  } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    exit 1
  fi
  touch "$root/complete"
fi
chroot "$root" mysqld --version >&2
printf '%s\n' "$(cd "$root" && pwd -P)"
