# A new MariaDB for each side, and Geogate in front of the second one. Sourced by tests/suites/run.sh; uses
# tests/servers.sh.

# template_data: the data that every server starts with, made once a run.
template_data() {
  template=$work/template
  [ -e "$template" ] && return 0
  rm -rf "$template.new" # of an attempt that failed
  make_certificate "$work"
  make_data "$template.new" <<'SQL'
CREATE USER suite@'%' IDENTIFIED BY 'suite';
GRANT ALL ON *.* TO suite@'%' WITH GRANT OPTION;
SQL
  # Some suites ask for time zones by name.
  {
    echo 'USE mysql;'
    mariadb-tzinfo-to-sql /usr/share/zoneinfo 2>/dev/null
  } >"$work/zones.sql"
  change_data "$template.new" <"$work/zones.sql"
  mv "$template.new" "$template"
}

# data_folder: where servers keep their data: memory if there is room, for the suites make thousands of tables.
data_folder() {
  local free
  free=$(df --output=avail -BG /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)
  if [ -w /dev/shm ] && [ "${free:-0}" -ge 4 ]; then mktemp -d /dev/shm/geogate-suites.XXXXXX; else mktemp -d "$work/data.XXXXXX"; fi
}

# start_mariadb DIR PORT: with the suite's $server_options, $databases and $server_sql; its log is in DIR.
start_mariadb() {
  local dir=$1 port=$2 database
  mkdir -p "$dir"
  copy_data "$template" "$data/$port"
  start_server "$data/$port" "$port" "$dir/server.log" \
    --character-set-server=utf8mb4 --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=0 \
    --innodb-log-file-size=64M --sync-binlog=0 --skip-innodb-doublewrite --max-allowed-packet=64M \
    --ssl-cert="$work/cert.pem" --ssl-key="$work/key.pem" "${server_options[@]}"
  wait_ready "$port" suite "$dir/server.log" "$started"
  {
    for database in "${databases[@]}"; do echo "CREATE DATABASE $database;"; done
    echo "$server_sql"
  } | mariadb --no-defaults -h127.0.0.1 -P"$port" -usuite -psuite
}

# start_servers SUITE: sets $direct_port and $proxy_port.
start_servers() {
  local suite=$1 server_port control_port dir port
  template_data
  free_port; direct_port=$port
  free_port; server_port=$port
  free_port; proxy_port=$port
  free_port; control_port=$port
  start_mariadb "$work/$suite.direct" "$direct_port"
  dir=$work/$suite.proxy
  start_mariadb "$dir" "$server_port"
  "$binary" init --from "mysql://suite:suite@127.0.0.1:$server_port" --out "$dir/geogate" \
    --listen "127.0.0.1:$proxy_port" --control "127.0.0.1:$control_port" >"$dir/init.log"
  # Servers have a Unix socket, and tell its path.
  sed -i "s|^\[listen\]|&\nsocket = \"$sockets/$proxy_port\"|" "$dir/geogate/geogate.toml"
  printf '%s\n' "$proxy_settings" >>"$dir/geogate/geogate.toml"
  start_program "$dir/proxy.log" "$binary" serve --config "$dir/geogate/geogate.toml"
  wait_ready "$proxy_port" suite "$dir/proxy.log" "$started"
}
