#!/usr/bin/env bash
# The price of a hop: sysbench through Geogate, through HAProxy (mode tcp, a byte copy) and directly.
# tests/bench/README.md says how to read the figures.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/bench/run.sh [--passes N] [--seconds N] [--threads LIST] [--workloads LIST]
                          [--hops LIST] [--binary FILE] [--rows N] [--syscalls | --instructions | --connects]

  --passes N        interleaved passes over all combinations (default 5)
  --seconds N       seconds of each measurement (default 4)
  --threads LIST    client threads, comma separated (default 8; the full set is 2,8,64)
  --workloads LIST  of point_text, point_prepared, range_text, range_prepared, read_write (default all)
  --hops LIST       of direct, haproxy, geogate (default all)
  --binary FILE     geogate to measure (default: a release build made now)
  --client FILE     client of --connects (default: built now)
  --rows N          rows of each of the 4 tables (default 10000)
  --syscalls        count system calls per point select with strace instead of measuring time
  --instructions    count instructions per point select with callgrind instead of measuring time
  --connects        short connections instead of sysbench: login and quit, login and SELECT 1, and
                    logins with a wrong password; each from --threads clients at once

Example: tests/bench/run.sh --threads 2,8,64 --workloads point_text
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/tests/install.sh"
. "$root/tests/servers.sh"

passes=5 seconds=4 threads=8 rows=10000 binary='' syscalls=no instructions=no connects=no client=''
under=() # what the hops run under
workloads=point_text,point_prepared,range_text,range_prepared,read_write
hops=direct,haproxy,geogate
while [ $# -gt 0 ]; do
  case $1 in
    --passes) passes=${2:?}; shift ;;
    --seconds) seconds=${2:?}; shift ;;
    --threads) threads=${2:?}; shift ;;
    --workloads) workloads=${2:?}; shift ;;
    --hops) hops=${2:?}; shift ;;
    --binary) binary=${2:?}; shift ;;
    --client) client=${2:?}; shift ;;
    --rows) rows=${2:?}; shift ;;
    --syscalls) syscalls=yes ;;
    --instructions) instructions=yes ;;
    --connects) connects=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need setpriv util-linux
[ "$connects" = yes ] || need sysbench sysbench
case $hops in *haproxy*) need haproxy haproxy ;; esac
[ "$syscalls" = no ] || need strace strace
[ "$instructions" = no ] || need valgrind valgrind

target=${CARGO_TARGET_DIR:-$root/target}
case $hops in
  *geogate*)
    if [ -z "$binary" ]; then
      echo "building geogate (release)"
      (cd "$root" && cargo build --release --quiet --bin geogate)
      binary=$target/release/geogate
    fi
    ;;
esac

mkdir -p "$target"
work=$(mktemp -d "$target/bench.XXXXXX")
sockets=$(mktemp -d)
finish() {
  stop_started
  rm -rf "$work" "$sockets"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

next_port=$((20000 + $$ % 400 * 20 + 10))
start() { # start NAME COMMAND...: remembers its pid in pid_of
  local name=$1
  shift
  start_program "$work/$name.log" "$@"
  pid_of[$name]=$started
}
answers() { wait_ready "$2" bench "$work/$1.log" "${pid_of[$1]}"; } # answers NAME PORT

declare -A pid_of port_of
[ "$instructions" = no ] ||
  # With what `serve` would begin itself anew with, which valgrind does not follow.
  under=(env MALLOC_TRIM_THRESHOLD_=131072 valgrind --tool=callgrind --instr-atstart=no "--callgrind-out-file=$work/callgrind.%p")
make_data "$work/mariadb" <<'SQL'
CREATE USER bench@'%' IDENTIFIED BY 'bench';
GRANT ALL ON *.* TO bench@'%' WITH GRANT OPTION;
CREATE DATABASE sbtest;
SQL
free_port
port_of[direct]=$port
start_server "$work/mariadb" "$port" "$work/mariadb.log" --innodb-buffer-pool-size=256M \
  --innodb-flush-log-at-trx-commit=0 --max-connections=700 --max-prepared-stmt-count=100000
pid_of[mariadb]=$started
answers mariadb "$port"

case $hops in *haproxy*)
  free_port
  port_of[haproxy]=$port
  cat >"$work/haproxy.cfg" <<CFG
global
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen mariadb
  bind 127.0.0.1:$port
  server one 127.0.0.1:${port_of[direct]}
CFG
  start haproxy "${under[@]}" haproxy -db -f "$work/haproxy.cfg"
  answers haproxy "$port"
  ;;
esac
case $hops in *geogate*)
  free_port
  control_port=$port
  free_port
  port_of[geogate]=$port
  "$binary" init --from "mysql://bench:bench@127.0.0.1:${port_of[direct]}" --out "$work/geogate" \
    --listen "127.0.0.1:$port" --control "127.0.0.1:$control_port" >"$work/init.log" 2>&1 || { cat "$work/init.log" >&2; exit 1; }
  start geogate "${under[@]}" "$binary" serve --config "$work/geogate/geogate.toml"
  answers geogate "$port"
  ;;
esac

bench() { # bench PORT THREADS WORKLOAD ARGUMENT...
  local port=$1 count=$2 script arguments=()
  case $3 in
    point_text) script=oltp_point_select arguments=(--db-ps-mode=disable) ;;
    point_prepared) script=oltp_point_select ;;
    range_text | range_prepared)
      script=oltp_read_only
      arguments=(--skip_trx=on --point_selects=0 --simple_ranges=1 --sum_ranges=0 --order_ranges=0
        --distinct_ranges=0)
      [ "$3" = range_prepared ] || arguments+=(--db-ps-mode=disable)
      ;;
    read_write) script=oltp_read_write arguments=(--mysql-ignore-errors=1213,1205) ;;
    prepare) script=oltp_read_write ;;
    *) echo "error: no workload $3" >&2; exit 2 ;;
  esac
  shift 3
  sysbench "$script" --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port="$port" \
    --mysql-user=bench --mysql-password=bench --mysql-db=sbtest --tables=4 --table-size="$rows" \
    --threads="$count" --percentile=95 "${arguments[@]}" "$@"
}
[ "$connects" = yes ] ||
  bench "${port_of[direct]}" 2 prepare prepare >"$work/prepare.log" 2>&1 || { tail "$work/prepare.log" >&2; exit 1; }

ticks=$(getconf CLK_TCK)
cpu_of() { # user and system time of a process, all threads, in clock ticks
  local stat
  stat=$(<"/proc/$1/stat")
  stat=${stat##*) }
  set -- $stat
  echo $((${12} + ${13}))
}

if [ "$connects" = yes ]; then
  if [ -z "$client" ]; then
    client=$(cd "$root" && cargo bench --no-run --bench connects 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
    case $client in /*) ;; *) client=$root/$client ;; esac
  fi
  echo "Short connections, median of $passes passes of $seconds s; $(nproc) processors shared by clients, proxy"
  echo "and server; $(mariadbd --version | awk '{print $3}'). Microseconds of CPU for each connection."
  echo
  echo "| visit | clients | hop | connects/s | CPU of the hop | of the server |"
  echo "|---|---|---|---|---|---|"
  for visit in login query wrong; do
    for count in ${threads//,/ }; do
      for pass in $(seq "$passes"); do
        for hop in ${hops//,/ }; do
          before=$(cpu_of "${pid_of[mariadb]}") hop_before=0 hop_after=0
          [ "$hop" = direct ] || hop_before=$(cpu_of "${pid_of[$hop]}")
          line=$("$client" --visit "$visit" --address "127.0.0.1:${port_of[$hop]}" \
            --threads "$count" --seconds "$seconds" 2>"$work/connects.log") ||
            { echo "error: $visit through $hop: $line" >&2; sort "$work/connects.log" | uniq -c | tail >&2; exit 1; }
          [ "$hop" = direct ] || hop_after=$(cpu_of "${pid_of[$hop]}")
          after=$(cpu_of "${pid_of[mariadb]}")
          set -- $line
          awk -v n="$2" -v rate="$6" -v us=$((1000000 / ticks)) -v hop=$((hop_after - hop_before)) \
            -v server=$((after - before)) -v name="$visit $count ${hop}" \
            'BEGIN { print name, rate, hop * us / n, server * us / n }' >>"$work/connects"
        done
      done
      for hop in ${hops//,/ }; do
        grep "^$visit $count $hop " "$work/connects" | sort -k4,4n | awk -v m=$(((passes + 1) / 2)) \
          'NR == 1 { low = $4 } NR == m { line = $0 } { high = $4 }
           END { split(line, c, " "); printf "| %s | %s | %s | %.0f (%.0f to %.0f) | %.0f | %.0f |\n",
             c[1], c[2], c[3], c[4], low, high, c[5], c[6] }'
      done
    done
  done
  exit 0
fi

if [ "$syscalls" = yes ]; then
  events=20000
  for hop in ${hops//,/ }; do
    [ "$hop" != direct ] || continue
    # Warm connections first, so that the count is that of the hot path.
    bench "${port_of[$hop]}" 1 point_text --events=2000 --time=0 run >/dev/null
    strace -c -f -p "${pid_of[$hop]}" -o "$work/strace.$hop" 2>/dev/null &
    tracer=$!
    sleep 1
    bench "${port_of[$hop]}" 1 point_text --events=$events --time=0 run >/dev/null
    kill -INT "$tracer"
    wait "$tracer" 2>/dev/null || true
    echo
    echo "System calls per point select, $hop (one client, $events queries):"
    echo
    echo "| call | per query |"
    echo "|---|---|"
    awk -v n=$events '$1 ~ /^[0-9.]+$/ && NF >= 5 {
        if ($NF == "total") { total = $4; next }
        if ($4 / n >= 0.005) printf "| %s | %.2f |\n", $NF, $4 / n
      } END { printf "| all | %.2f |\n", total / n }' "$work/strace.$hop"
  done
  exit 0
fi

if [ "$instructions" = yes ]; then
  events=2000
  # count PID PORT WORKLOAD EVENTS: instructions of the process while one client logs in, runs EVENTS
  # point selects and quits.
  count() {
    callgrind_control -z "$1" >/dev/null 2>&1
    bench "$2" 1 "$3" --events="$4" --time=0 run >/dev/null
    callgrind_control -d "$1" >/dev/null 2>&1
    local dumped
    dumped=$(ls -t "$work/callgrind.$1".* | head -n 1)
    awk '$1 == "totals:" || $1 == "summary:" { count = $2 } END { print count }' "$dumped"
    rm "$dumped"
  }
  echo
  echo "Instructions per point select (user space, one client, $events queries; least of $passes passes):"
  echo
  echo "| workload | hop | per query |"
  echo "|---|---|---|"
  for hop in ${hops//,/ }; do
    [ "$hop" != direct ] || continue
    pid=${pid_of[$hop]}
    callgrind_control -i on "$pid" >/dev/null 2>&1
    for workload in point_text point_prepared; do
      bench "${port_of[$hop]}" 1 $workload --events=300 --time=0 run >/dev/null
      least=''
      for pass in $(seq "$passes"); do
        # The difference of two runs is free of logins.
        short=$(count "$pid" "${port_of[$hop]}" $workload $events)
        long=$(count "$pid" "${port_of[$hop]}" $workload $((2 * events)))
        each=$(((long - short) / events))
        [ -n "$least" ] && [ "$least" -le "$each" ] || least=$each
      done
      echo "| $workload | $hop | $least |"
    done
  done
  exit 0
fi

# One line a measurement: workload threads hop queries/s avg-ms p95-ms hop-us/query server-us/query
measure() {
  local workload=$1 count=$2 hop=$3 before_hop=0 after_hop=0 before after out
  before=$(cpu_of "${pid_of[mariadb]}")
  [ "$hop" = direct ] || before_hop=$(cpu_of "${pid_of[$hop]}")
  out=$work/run.log
  if ! bench "${port_of[$hop]}" "$count" "$workload" --time="$seconds" run >"$out" 2>&1; then
    echo "error: sysbench $workload through $hop failed:" >&2
    tail -n 20 "$out" >&2
    exit 1
  fi
  [ "$hop" = direct ] || after_hop=$(cpu_of "${pid_of[$hop]}")
  after=$(cpu_of "${pid_of[mariadb]}")
  awk -v workload="$workload" -v count="$count" -v hop="$hop" -v us=$((1000000 / ticks)) \
    -v hop_ticks=$((after_hop - before_hop)) -v server_ticks=$((after - before)) '
    $1 == "queries:" { queries = $2; gsub(/[(]/, "", $3); rate = $3 }
    $1 == "avg:" { avg = $2 }
    $1 == "95th" { p95 = $3 }
    END { print workload, count, hop, rate, avg, p95, hop_ticks * us / queries, server_ticks * us / queries }
  ' "$out" >>"$work/results"
}

IFS=, read -r -a hop_list <<<"$hops"
# Caches warm up on every hop before anything counts.
for hop in "${hop_list[@]}"; do
  bench "${port_of[$hop]}" 4 point_text --time=2 run >/dev/null
done
for pass in $(seq "$passes"); do
  echo "pass $pass of $passes" >&2
  for count in ${threads//,/ }; do
    for workload in ${workloads//,/ }; do
      # Every pass begins with another hop, so that no hop is always first or last.
      for at in "${!hop_list[@]}"; do
        measure "$workload" "$count" "${hop_list[$(((at + pass) % ${#hop_list[@]}))]}"
      done
    done
  done
done

echo "Median of $passes passes of $seconds s, (lowest to highest); $(nproc) processors shared by"
echo "sysbench, proxy and server; $(mariadbd --version | awk '{print $3}')."
echo
echo "| workload | threads | hop | queries/s | latency avg ms | p95 ms | CPU us/query of the hop | of the server | queries/s to HAProxy | CPU to HAProxy |"
echo "|---|---|---|---|---|---|---|---|---|---|"
sort -k1,1 -k2,2n -k3,3 "$work/results" | awk '
  function flush(    i, j, c, t, n, text) {
    if (key == "") return
    n = rows
    for (c = 4; c <= 8; c++) {
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++)
        if (value[c, j] + 0 < value[c, i] + 0) { t = value[c, i]; value[c, i] = value[c, j]; value[c, j] = t }
      median[key, c] = n % 2 ? value[c, (n + 1) / 2] : (value[c, n / 2] + value[c, n / 2 + 1]) / 2
      low[key, c] = value[c, 1]; high[key, c] = value[c, n]
    }
    keys[++count] = key
    rows = 0
  }
  { now = $1 " | " $2 " | " $3; if (now != key) { flush(); key = now }
    rows++; for (c = 4; c <= 8; c++) value[c, rows] = $c }
  END {
    flush()
    for (i = 1; i <= count; i++) {
      key = keys[i]; split(key, part, " [|] "); base = part[1] " | " part[2] " | haproxy"
      cpu = part[3] == "direct" ? "-" : sprintf("%.1f (%.1f to %.1f)", median[key, 7], low[key, 7], high[key, 7])
      ratio = (base, 4) in median ? sprintf("%.2f", median[key, 4] / median[base, 4]) : "-"
      cpu_ratio = part[3] != "direct" && (base, 7) in median && median[base, 7] > 0 ? sprintf("%.2f", median[key, 7] / median[base, 7]) : "-"
      printf "| %s | %.0f (%.0f to %.0f) | %.2f | %.2f | %s | %.1f | %s | %s |\n", key, \
        median[key, 4], low[key, 4], high[key, 4], median[key, 5], median[key, 6], cpu, median[key, 8], ratio, cpu_ratio
    }
  }'
