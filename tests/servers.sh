#!/usr/bin/env bash
# MariaDB servers of a script: made, started, asked whether they answer, stopped. Sourced by
# deploy/demo.sh, tests/bench/run.sh, tests/drivers/*.sh and tests/suites/servers.sh, which set $sockets
# to a folder with a short path; the tests in Rust run `tests/servers.sh data FOLDER` with SQL as input.
#
# A server has a folder of its own below which are `data` and `tmp`: a server that starts removes the
# temporary tables that it finds, so two that share a tmpdir end each other.

as_root=()
[ "$(id -u)" -eq 0 ] && as_root=(--user=root) # servers refuse to run as root unless told so

# What programs are started by; they end with the script, however it ends.
launcher=(setpriv --pdeathsig KILL --)
started_pids=()

# make_data FOLDER: makes FOLDER/data with root@localhost and what the SQL of the input adds.
make_data() {
  mkdir -p "$1/tmp"
  mariadb-install-db --no-defaults --force "${as_root[@]}" --datadir="$1/data" --tmpdir="$1/tmp" \
    --skip-test-db --auth-root-authentication-method=normal --innodb-log-file-size=8M \
    --skip-name-resolve >"$1/install.log" 2>&1 </dev/null || {
    cat "$1/install.log" >&2
    exit 1
  }
  # Accounts are read while a server is bootstrapped only after it has been told that there are some.
  {
    echo "FLUSH PRIVILEGES;"
    echo "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';"
    echo "FLUSH PRIVILEGES;"
    cat
  } | change_data "$1"
}

# change_data FOLDER: runs the SQL of the input on the data of a server that does not run.
change_data() {
  mariadbd --no-defaults "${as_root[@]}" --datadir="$1/data" --tmpdir="$1/tmp" --bootstrap \
    --innodb-log-file-size=8M >>"$1/install.log" 2>&1 || {
    cat "$1/install.log" >&2
    exit 1
  }
}

# copy_data FOLDER TO: gives another server the data of one that does not run.
copy_data() {
  mkdir -p "$2/tmp"
  cp -a "$1/data" "$2/data"
}

# start_program LOG COMMAND...: starts something that ends with the script; sets $started to its pid.
start_program() {
  local log=$1
  shift
  "${launcher[@]}" "$@" >"$log" 2>&1 </dev/null &
  started=$!
  started_pids+=("$started")
}

# start_server FOLDER PORT LOG OPTION...: starts a server on FOLDER/data; sets $started to its pid.
start_server() {
  local folder=$1 port=$2 log=$3
  shift 3
  start_program "$log" mariadbd --no-defaults "${as_root[@]}" --datadir="$folder/data" \
    --tmpdir="$folder/tmp" --port="$port" --socket="$sockets/$port" --pid-file="$folder/pid" \
    --bind-address=127.0.0.1 --skip-name-resolve "$@"
}

# stop_started: ends everything that was started, at once, and waits for it.
stop_started() {
  local pid
  for pid in "${started_pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in "${started_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  started_pids=()
}

# wait_ready PORT USER LOG PID: until a user whose password is its name can log in; otherwise shows the
# log and ends the script.
wait_ready() {
  local try
  for try in $(seq 300); do
    mariadb --no-defaults -h127.0.0.1 -P"$1" -u"$2" -p"$2" -e 'SELECT 1' >/dev/null 2>&1 && return 0
    kill -0 "$4" 2>/dev/null || break
    sleep 0.1
  done
  echo "error: nothing answers on port $1:" >&2
  tail -n 20 "$3" >&2
  exit 1
}

# free_port: sets $port to the next one, from $next_port on, that nobody listens on.
free_port() {
  while (exec 3<>"/dev/tcp/127.0.0.1/$next_port") 2>/dev/null; do next_port=$((next_port + 1)); done
  port=$next_port
  next_port=$((next_port + 1))
}

# make_certificate FOLDER: makes FOLDER/cert.pem and FOLDER/key.pem.
make_certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$1/key.pem" \
    -out "$1/cert.pem" 2>/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  if [ $# -ne 2 ] || [ "$1" != data ]; then
    echo "usage: tests/servers.sh data FOLDER <SQL   (makes FOLDER/data of a MariaDB server)" >&2
    exit 2
  fi
  make_data "$2"
fi
