"""MariaDB's own regression tests, straight against a server and through Geogate in front of it.

Called by mysqltest.sh. Each worker has a server, a proxy and a folder of its own and takes the next
test from a list. A test counts if it passes directly; it must then pass through the proxy. The server
is put back to its first state when a test has left something behind.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

SUITES_USUAL = [
    "main", "json", "heap", "handler", "csv", "archive", "vcol", "gcol", "period", "versioning",
    "sql_sequence", "roles", "compat/oracle", "compat/maxdb", "compat/mssql", "funcs_1",
    "optimizer_unfixed_bugs",
]
SUITES_MORE = [
    "sys_vars", "innodb", "innodb_gis", "innodb_fts", "maria", "engines/funcs", "engines/iuds", "parts",
]

# Commands of mysqltest that end or replace the server, which belongs to its worker, or need another one.
FOREIGN = re.compile(
    r"^\s*(?:--\s*)?(?:shutdown_server\b|send_shutdown\b|kill_server\b|sync_slave|sync_with_master|save_master_pos"
    # The accounts of a proxy are in its configuration, not made by CREATE USER.
    r"|change_user\s+\S|connect\s*[\s(]\s*[^,\n]+,[^,\n]*,\s*(?!root\b)[\w'\"$])",
    re.MULTILINE | re.IGNORECASE,
)
# Includes that do the same, and tests that take hours or ask for a server of their own kind.
FOREIGN_INCLUDES = re.compile(
    r"(restart_mysqld|start_mysqld|kill_mysqld|shutdown_mysqld|master-slave|have_debug|ssl_communication"
    r"|kill_galera|galera|wsrep|big_test|long_test|rpl_|expect_crash"
    r"|windows\.inc$|have_file_key|have_example_key|valgrind\.inc$|have_pool_of_threads)"
)
SOURCE = re.compile(r"^\s*(?:--\s*)?source\s+([^\s;]+)", re.MULTILINE | re.IGNORECASE)
# Programs that tests start, by the variable that they name them by.
PROGRAMS = {
    "MYSQL": "mariadb", "MYSQL_DUMP": "mariadb-dump", "MYSQLADMIN": "mariadb-admin",
    "MYSQL_CHECK": "mariadb-check", "MYSQL_IMPORT": "mariadb-import", "MYSQL_SHOW": "mariadb-show",
    "MYSQL_SLAP": "mariadb-slap", "MYSQL_TEST": "mysqltest",
}


class Case:
    """A test: its file, its expected result, the folder of its suite."""

    def __init__(self, suite, suite_dir, path, result):
        self.name = f"{suite}.{path.stem}"
        self.suite_dir = suite_dir
        self.path = path
        self.result = result


def suite_cases(root, suite):
    """The tests of a suite that have an expected result and are not disabled."""
    base = root / "main" if suite == "main" else root / "suite" / suite
    tests = base / "t" if (base / "t").is_dir() else base
    results = base / "r" if (base / "r").is_dir() else tests
    disabled = set()
    for file in (tests / "disabled.def", base / "disabled.def"):
        if file.exists():
            for line in file.read_text(errors="replace").splitlines():
                if ":" in line and not line.startswith("#"):
                    disabled.add(line.split(":")[0].strip().split(".")[-1])
    for path in sorted(tests.glob("*.test")):
        result = results / f"{path.stem}.result"
        if path.stem not in disabled and result.exists():
            yield Case(suite, base, path, result)


def exceptions():
    """The tests that are not run, with the reason."""
    file = pathlib.Path(__file__).with_name("mysqltest.exceptions")
    lines = (line.split(None, 1) for line in file.read_text().splitlines() if line[:1] not in ("", "#"))
    return {name: reason for name, reason in lines}


def find_source(name, root, case, including):
    for folder in (root, including.parent, case.path.parent, case.suite_dir):
        file = folder / name
        if file.exists():
            return file
    return None


def why_not(case, root):
    """Why a test cannot be run against a server that was started before it; None if it can."""
    seen, todo = set(), [case.path]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        text = file.read_bytes().decode("latin-1")
        if len(seen) > 1 and file.name.startswith(("have_", "not_")):
            continue  # they only ask whether the server can do it
        found = FOREIGN.search(text)
        if found:
            return f"{found.group(0).strip()} in {file.name}"
        for name in SOURCE.findall(text):
            if FOREIGN_INCLUDES.search(name):
                return name
            included = find_source(name, root, case, file)
            if included is not None:
                todo.append(included)
    return None


def free_port(first):
    port = first
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                port += 1


def as_root():
    return ["--user=root"] if os.geteuid() == 0 else []


def one_statement_a_line(text):
    """Text for --bootstrap, which knows no DELIMITER and wants each statement on one line."""
    out, delimiter = ["\n"], ";"
    for line in text.splitlines():
        word = re.match(r"delimiter\s+(.*)", line)
        if word:
            delimiter = word.group(1).removesuffix(delimiter)
        elif line.endswith(delimiter):
            out.append(line.removesuffix(delimiter) + ";\n")
        elif not re.match(r"\s*--", line):
            out.append(line + " ")
    return "".join(out)


def bootstrap(folder, share, root):
    """A data folder as the test runner of MariaDB makes one."""
    data = folder / "template"
    (data / "mysql").mkdir(parents=True)
    parts = [b"use mysql;\n"]
    for name in (
        "mysql_system_tables.sql", "maria_add_gis_sp_bootstrap.sql", "mysql_performance_tables.sql",
        "mysql_system_tables_data.sql", "mysql_test_data_timezone.sql", "fill_help_tables.sql",
        "mysql_sys_schema.sql",
    ):
        parts.append((share / name).read_bytes())
    parts.append(
        b"CREATE DATABASE IF NOT EXISTS test CHARACTER SET latin1 COLLATE latin1_swedish_ci;\n"
        b"ALTER TABLE mysql.gtid_slave_pos ENGINE=Aria transactional=0;\n"
        b"DELETE FROM mysql.global_priv where user= '';\n"
        b"CREATE DATABASE mtr CHARSET=latin1;\n"
    )
    for name in ("mtr_warnings.sql", "mtr_check.sql"):
        parts.append(one_statement_a_line((root / "include" / name).read_text()).encode())
    (folder / "bootstrap.sql").write_bytes(b"".join(parts))
    (folder / "tmp").mkdir(exist_ok=True)
    command = [
        "mariadbd", "--no-defaults", "--bootstrap", *as_root(), f"--datadir={data}",
        "--default-storage-engine=myisam", "--loose-innodb", "--loose-innodb-log-file-size=10M",
        f"--tmpdir={folder}/tmp", "--character-set-server=latin1", "--loose-disable-performance-schema",
    ]
    with open(folder / "bootstrap.sql", "rb") as sql, open(folder / "bootstrap.log", "wb") as log:
        subprocess.run(command, stdin=sql, stdout=log, stderr=log, check=True)
    return data


STATE = """SELECT variable_name, variable_value FROM information_schema.global_variables WHERE variable_name NOT IN
('TIMESTAMP','INNODB_IBUF_MAX_SIZE','GTID_BINLOG_STATE') AND variable_name NOT LIKE 'GTID%POS' AND variable_name NOT LIKE 'LAST_IO_ERR%' ORDER BY 1;
SELECT * FROM information_schema.schemata ORDER BY 1,2,3;
SHOW TABLES FROM test;
SHOW TABLES FROM mysql;
SELECT * FROM mysql.proc WHERE db NOT IN ('sys','mtr','mysql');
SELECT db,name FROM mysql.proc ORDER BY 1,2;
SELECT * FROM mysql.event;
CHECKSUM TABLE mysql.columns_priv, mysql.db, mysql.func, mysql.help_category, mysql.help_keyword,
mysql.help_relation, mysql.plugin, mysql.procs_priv, mysql.roles_mapping, mysql.tables_priv, mysql.servers,
mysql.proxies_priv, mysql.time_zone, mysql.time_zone_leap_second, mysql.time_zone_name, mysql.time_zone_transition,
mysql.time_zone_transition_type, mysql.global_priv, mysql.table_stats, mysql.column_stats, mysql.index_stats;
SELECT plugin_name, plugin_status FROM information_schema.plugins WHERE plugin_status != 'INACTIVE' ORDER BY 1;
SHOW OPEN TABLES WHERE In_use > 0;
SELECT COUNT(*) FROM information_schema.innodb_trx;
SELECT 'end';
"""


class Worker:
    """A server, a proxy in front of it, and the folder that both work in."""

    def __init__(self, number, options, template, root, share):
        self.options, self.template, self.root, self.share = options, template, root, share
        self.var = options.work / f"w{number}"
        self.var.mkdir(parents=True)
        for name in ("log", "run", "tmp", "tmp/mysqld.1", "mysqld.1"):
            (self.var / name).mkdir()
        shutil.copytree(root / "std_data", self.var / "std_data")
        base = options.port_base + 10 * number
        self.server_port = free_port(base)
        self.proxy_port = free_port(self.server_port + 1)
        self.control_port = free_port(self.proxy_port + 1)
        self.socket = f"/tmp/gg-mtr-{os.getpid()}-{number}.sock"
        self.server = self.proxy = None
        self.environment = self.make_environment()
        self.write_configuration()
        self.restart()

    def make_environment(self):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TERM")}
        env.update(
            LC_ALL="C", LC_CTYPE="C", LC_COLLATE="C", TZ="GMT-3", UMASK="0660", UMASK_DIR="0770",
            MYSQL_TEST_DIR=str(self.root), MYSQL_TMP_DIR=f"{self.var}/tmp",
            MYSQLTEST_VARDIR=str(self.var), MYSQLTEST_REAL_VARDIR=str(self.var),
            MYSQL_SHAREDIR=str(self.share), MYSQL_CHARSETSDIR=str(self.share / "charsets"),
            SECURE_LOAD_PATH=str(self.root / "std_data"), MYSQL_BINDIR="/usr",
            MASTER_MYSOCK=self.socket, USE_RUNNING_SERVER="0", MARIADB_DATADIR=f"{self.var}/mysqld.1/data",
            MYSQL_TEST_ROOT="1" if os.geteuid() == 0 else "", OPENSSL_CONF="/dev/null",
            DEFAULT_MASTER_PORT="3306",
        )
        return env

    def write_configuration(self):
        text = (self.root / "include" / "default_mysqld.cnf").read_text()
        text = text.replace("@ENV.MYSQLTEST_VARDIR", str(self.var))
        text = text.replace("@ENV.MYSQL_TEST_DIR", str(self.root))
        data = self.var / "mysqld.1" / "data"
        own = f"""
[mysqld]
basedir=/usr
datadir={data}
tmpdir={self.var}/tmp/mysqld.1
character-sets-dir={self.share}/charsets
lc-messages-dir={self.share}
pid-file={self.var}/run/mysqld.1.pid
port={self.server_port}
socket={self.socket}
log-error={self.var}/log/mysqld.1.err
general-log=1
general-log-file={self.var}/mysqld.1/mysqld.log
slow-query-log=1
slow-query-log-file={self.var}/mysqld.1/mysqld-slow.log
log-output=file
server-id=1
bind-address=127.0.0.1
innodb-flush-log-at-trx-commit=2
loose-skip-plugin-feedback
"""
        (self.var / "my.cnf").write_text(text + own)

    def connect(self):
        """An answer of the server itself, over its socket."""
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "--force"]

    def state(self):
        try:
            answer = subprocess.run(
                self.connect(), input=STATE.encode(), capture_output=True, timeout=60, env=self.environment
            )
        except subprocess.TimeoutExpired:
            return None
        if not answer.stdout.endswith(b"end\n"):
            return None
        files = sorted(os.listdir(self.var / "mysqld.1/data/test"))
        return hashlib.sha256(answer.stdout + repr(files).encode()).hexdigest()

    def stop(self, process):
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def restart(self):
        """Server and proxy as on the first day."""
        self.stop(self.proxy)
        self.stop(self.server)
        data = self.var / "mysqld.1" / "data"
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(["cp", "-r", str(self.template), str(data)], check=True)
        for entry in (self.var / "tmp").iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.var / "tmp/mysqld.1").mkdir()
        log = open(self.var / "log/server.log", "ab")
        self.server = subprocess.Popen(
            die_with_parent(["mariadbd", f"--defaults-file={self.var}/my.cnf", *as_root(),
            "--loose-debug-sync-timeout=300"]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment, cwd=self.var,
        )
        self.wait_for(self.server_port, self.server)
        self.base_state = self.state()
        self.start_proxy()

    def start_proxy(self):
        config = self.var / "proxy"
        if not config.exists():
            subprocess.run(
                [self.options.binary, "init", "--from", f"mysql://root@127.0.0.1:{self.server_port}",
                 "--out", str(config), "--listen", f"127.0.0.1:{self.proxy_port}",
                 "--control", f"127.0.0.1:{self.control_port}"],
                check=True, stdout=subprocess.DEVNULL,
            )
        log = open(self.var / "log/proxy.log", "ab")
        self.proxy = subprocess.Popen(
            die_with_parent([self.options.binary, "serve", "--config", f"{config}/geogate.toml"]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )
        self.wait_for(self.proxy_port, self.proxy)

    def wait_for(self, port, process):
        for _ in range(600):
            if process.poll() is not None:
                sys.exit(f"error: the process for port {port} has ended; see {self.var}/log")
            answer = subprocess.run(
                ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{port}", "-uroot", "-e", "SELECT 1"],
                capture_output=True,
            )
            if answer.returncode == 0:
                return
            time.sleep(0.05)
        sys.exit(f"error: nothing answers on port {port}; see {self.var}/log")

    def clean(self):
        if self.server.poll() is not None or self.proxy.poll() is not None:
            return self.restart()
        for entry in (self.var / "tmp").iterdir():
            if entry.name != "mysqld.1":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        # Sessions that are over may take a moment to let go.
        for pause in (0, 0.2, 0.5):
            time.sleep(pause)
            if self.state() == self.base_state:
                return None
        return self.restart()

    def run(self, case, port, ps):
        """Runs one test; returns ("pass" | "skip" | "fail", what was said, seconds)."""
        env = dict(self.environment, MASTER_MYPORT=str(port), MTR_SUITE_DIR=str(case.suite_dir),
                   MTR_TEST_NAME=case.path.stem)
        for variable, program in PROGRAMS.items():
            env[variable] = f"{program} --no-defaults --protocol=tcp --host=127.0.0.1 --port={port} --user=root" \
                f" --skip-ssl --character-sets-dir={self.share}/charsets"
        command = [
            "mysqltest", "--no-defaults", "--silent", "--host=127.0.0.1", f"--port={port}", "--user=root",
            "--protocol=tcp", f"--tmpdir={self.var}/tmp", f"--character-sets-dir={self.share}/charsets",
            f"--logdir={self.var}/log", "--database=test", f"--timer-file={self.var}/log/timer",
            "--skip-ssl",
            f"--suite-dir={case.suite_dir}/", f"--test-file={case.path}", f"--result-file={case.result}",
            "--tail-lines=20", "--wait-for-pos-timeout=300",
        ]
        if ps:
            command.append("--ps-protocol")
        start = time.monotonic()
        try:
            done = subprocess.run(
                command, capture_output=True, env=env, cwd=self.root, timeout=self.options.timeout,
                stdin=subprocess.DEVNULL,
            )
            text = (done.stdout + done.stderr).decode("utf-8", "replace")
            verdict = {0: "pass", 62: "skip"}.get(done.returncode, "fail")
        except subprocess.TimeoutExpired:
            verdict, text = "fail", f"no end after {self.options.timeout} s"
        seconds = time.monotonic() - start
        self.clean()
        return verdict, text, seconds

    def close(self):
        self.stop(self.proxy)
        self.stop(self.server)
        pathlib.Path(self.socket).unlink(missing_ok=True)


def die_with_parent(command):
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


def recorded(file):
    """The verdicts that an earlier run has written down: {test: {mode: [verdict, text, seconds]}}."""
    if file is None or not file.exists():
        return {}
    return dict(json.loads(line) for line in file.read_text().splitlines())


def first_difference(text):
    """The lines of a report that say what differs."""
    lines = [line for line in text.splitlines() if re.match(r"[-+][^-+]|@@|mysqltest: |At line|no end", line)]
    return lines[:12]


def judge(worker, case, modes, options):
    """What became of a test in each mode."""
    verdicts = {}
    for mode in modes:
        ps = mode == "ps"
        verdict, text, seconds = ("pass", "", 0) if options.trust else worker.run(case, worker.server_port, ps)
        if verdict != "pass":
            verdicts[mode] = ("direct-" + verdict, text, seconds)
            if verdict == "skip":
                break
            continue
        through, text, proxied = worker.run(case, worker.proxy_port, ps)
        if through == "pass":
            verdicts[mode] = ("pass", "", proxied)
            continue
        # A test that is not stable by itself proves nothing.
        again, _, _ = worker.run(case, worker.server_port, ps)
        verdicts[mode] = ("unstable" if again != "pass" else "fail", text, proxied)
    return verdicts


def main():
    parser = argparse.ArgumentParser(prog="tests/suites/mysqltest.sh", description=__doc__)
    parser.add_argument("--mode", choices=["text", "ps", "both"], default="both")
    parser.add_argument("--filter", help="only tests whose name (suite.test) matches this expression")
    parser.add_argument("--list", help="a file with names of tests, one a line: only these")
    parser.add_argument("--smoke", action="store_true", help="every tenth test of the suite main")
    parser.add_argument("--all", action="store_true", help="all suites of plain SQL")
    parser.add_argument("--suite", action="append", help="only this suite; may be given several times")
    parser.add_argument("--binary", help="the geogate to test (default: target/debug/geogate)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--port-base", type=int, default=23000)
    parser.add_argument("--timeout", type=int, default=240, help="seconds for one test")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and differences")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("/usr/share/mysql/mysql-test"))
    parser.add_argument("--share", type=pathlib.Path, default=pathlib.Path("/usr/share/mysql"))
    parser.add_argument("--names", action="store_true", help="only print the names of the tests chosen")
    parser.add_argument("--why-not", action="store_true", help="print why tests are not chosen")
    parser.add_argument("--record", type=pathlib.Path,
                        help="write the results there, and leave out the tests whose results are there already")
    parser.add_argument("--trust", action="store_true", help="skip the direct run before the proxied one")
    options = parser.parse_args()
    cases = []
    excepted = exceptions()
    wanted = set(pathlib.Path(options.list).read_text().split()) if options.list else None
    usual = SUITES_USUAL + (SUITES_MORE if options.all or options.list else [])
    for suite in options.suite or (["main"] if options.smoke else usual):
        for case in suite_cases(options.root, suite):
            if wanted is not None and case.name not in wanted:
                continue
            if options.filter and not re.search(options.filter, case.name):
                continue
            reason = excepted.get(case.name) or why_not(case, options.root)
            if reason is None:
                cases.append(case)
            elif options.why_not:
                print(f"{case.name}: {reason}")
    if options.smoke:
        cases = cases[::10]
    if options.names:
        print("\n".join(case.name for case in cases))
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    template = bootstrap(options.work, options.share, options.root)
    modes = ["text", "ps"] if options.mode == "both" else [options.mode]
    jobs = max(1, min(options.jobs, len(cases)))
    waiting = queue.Queue()
    results = recorded(options.record)
    for case in cases:
        if case.name not in results:
            waiting.put(case)

    def serve(number):
        worker = Worker(number, options, template, options.root, options.share)
        try:
            while True:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    return
                verdicts = judge(worker, case, modes, options)
                results[case.name] = verdicts
                if options.record:
                    with open(options.record, "a") as record:
                        print(json.dumps([case.name, verdicts]), file=record)
                line = "  ".join(f"{m}: {v[0]} ({v[2]:.1f} s)" for m, v in verdicts.items())
                print(f"[{len(results)}/{len(cases)}] {case.name}  {line}", flush=True)
                for mode, (verdict, text, _) in verdicts.items():
                    if verdict not in ("pass", "direct-skip"):
                        name = case.name.replace("/", "_")
                        (options.work / f"{name}.{mode}.{verdict}").write_text(text)
        finally:
            worker.close()

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(serve, number) for number in range(jobs)]:
            done.result()
    passed = failed = 0
    good = True
    for mode in modes:
        of = {name: verdicts[mode] for name, verdicts in results.items() if mode in verdicts}
        fails = sorted(name for name, verdict in of.items() if verdict[0] == "fail")
        passes = sum(1 for verdict in of.values() if verdict[0] == "pass")
        for name in fails:
            print(f"\nFAILED {name} ({mode})")
            for line in first_difference(of[name][1]):
                print("    " + line)
        unstable = sorted(name for name, verdict in of.items() if verdict[0] == "unstable")
        if unstable:
            print(f"not stable by themselves ({mode}): {' '.join(unstable)}")
        other = len(of) - passes - len(fails) - len(unstable)
        print(f"{mode}: {passes} of {passes + len(fails)} ok; {other} do not pass directly here")
        passed += passes
        failed += len(fails)
        good = good and passes > 0 and len(fails) <= 0.01 * (passes + len(fails))
    print(f"{passed} passed, {failed} failed")
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    sys.exit(main())
