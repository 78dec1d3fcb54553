# A new MariaDB for each side, and Geogate in front of the second one. Sourced by tests/suites/run.sh.

pids=()

stop_servers() {
  local pid
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=()
}

# free_port: sets $found to a port that nobody listens on.
next_port=0
free_port() {
  found=$((port_base + next_port))
  while (exec 3<>"/dev/tcp/127.0.0.1/$found") 2>/dev/null; do found=$((found + 1)); done
  next_port=$((found - port_base + 1))
}

# template_data: an empty data folder with the accounts, made once a run.
template_data() {
  template=$work/template
  [ -e "$template" ] && return 0
  rm -rf "$template.new" # of an attempt that failed
  as_root=()
  [ "$(id -u)" -eq 0 ] && as_root=(--user=root)
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$work/key.pem" \
    -out "$work/cert.pem" 2>/dev/null
  mariadb-install-db --no-defaults --force "${as_root[@]}" --datadir="$template.new" --skip-test-db \
    --auth-root-authentication-method=normal --skip-name-resolve --innodb-log-file-size=8M >"$work/install.log" 2>&1
  mariadbd --no-defaults "${as_root[@]}" --datadir="$template.new" --innodb-log-file-size=8M --bootstrap \
    >>"$work/install.log" 2>&1 <<'SQL'
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
CREATE USER suite@'%' IDENTIFIED BY 'suite';
GRANT ALL ON *.* TO suite@'%' WITH GRANT OPTION;
SQL
  # Some suites ask for time zones by name.
  {
    echo 'USE mysql;'
    mariadb-tzinfo-to-sql /usr/share/zoneinfo 2>/dev/null
  } >"$work/zones.sql"
  mariadbd --no-defaults "${as_root[@]}" --datadir="$template.new" --innodb-log-file-size=8M --bootstrap \
    <"$work/zones.sql" >>"$work/install.log" 2>&1
  mv "$template.new" "$template"
}

# data_folder: where servers keep their data: memory if there is room, for the suites make thousands of tables.
data_folder() {
  local free
  free=$(df --output=avail -BG /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)
  if [ -w /dev/shm ] && [ "${free:-0}" -ge 4 ]; then mktemp -d /dev/shm/geogate-suites.XXXXXX; else mktemp -d "$work/data.XXXXXX"; fi
}

# start_mariadb DIR PORT: with the suite's $server_options, $databases and $server_sql.
start_mariadb() {
  local dir=$1 port=$2 database
  mkdir -p "$dir" "$data/$port.tmp"
  cp -r "$template" "$data/$port"
  setpriv --pdeathsig KILL -- mariadbd --no-defaults "${as_root[@]}" --datadir="$data/$port" --tmpdir="$data/$port.tmp" --port="$port" \
    --socket="$sockets/$port" --pid-file="$dir/pid" --bind-address=127.0.0.1 --skip-name-resolve \
    --character-set-server=utf8mb4 --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=0 \
    --innodb-log-file-size=64M --sync-binlog=0 --skip-innodb-doublewrite --max-allowed-packet=64M \
    --ssl-cert="$work/cert.pem" --ssl-key="$work/key.pem" "${server_options[@]}" >"$dir/server.log" 2>&1 </dev/null &
  pids+=($!)
  wait_for "$port" "$dir/server.log"
  {
    for database in "${databases[@]}"; do echo "CREATE DATABASE $database;"; done
    echo "$server_sql"
  } | mariadb --no-defaults -h127.0.0.1 -P"$port" -usuite -psuite
}

# start_servers SUITE: sets $direct_port and $proxy_port.
start_servers() {
  local suite=$1 server_port control_port dir
  as_root=()
  [ "$(id -u)" -eq 0 ] && as_root=(--user=root)
  template_data
  free_port; direct_port=$found
  free_port; server_port=$found
  free_port; proxy_port=$found
  free_port; control_port=$found
  start_mariadb "$work/$suite.direct" "$direct_port"
  dir=$work/$suite.proxy
  start_mariadb "$dir" "$server_port"
  "$binary" init --from "mysql://suite:suite@127.0.0.1:$server_port" --out "$dir/geogate" \
    --listen "127.0.0.1:$proxy_port" --control "127.0.0.1:$control_port" >"$dir/init.log"
  # Servers have a Unix socket, and tell its path.
  sed -i "s|^\[listen\]|&\nsocket = \"$sockets/$proxy_port\"|" "$dir/geogate/geogate.toml"
  printf '%s\n' "$proxy_settings" >>"$dir/geogate/geogate.toml"
  setpriv --pdeathsig KILL -- "$binary" serve --config "$dir/geogate/geogate.toml" >"$dir/proxy.log" 2>&1 </dev/null &
  pids+=($!)
  wait_for "$proxy_port" "$dir/proxy.log"
}

wait_for() { # wait_for PORT LOG
  local try
  for try in $(seq 300); do
    mariadb --no-defaults -h127.0.0.1 -P"$1" -usuite -psuite -e 'SELECT 1' >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "error: nothing answers on port $1:" >&2
  tail -n 20 "$2" >&2
  exit 1
}
