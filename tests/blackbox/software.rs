//! What kind of server the tests run on: how it is initialised and how it is launched.
//!
//! MariaDB of the system's packages unless `GEOGATE_TEST_MYSQL` names a root folder in which Oracle
//! MySQL is installed (`tests/mysql_root.sh` makes one, `tests/run.sh` tests there too); then
//! `mysqld` runs by chroot there, and the folder of the run lies inside it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::{env, process};

use crate::server::{owned_command, spawn_owned};

/// Settings that keep a dozen servers small and quick, for both kinds. What is committed outlives
/// the process (it lies with the operating system), as tests that kill servers need.
const OPTIONS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-use-native-aio=OFF",
    "--innodb-lock-wait-timeout=10",
    "--sync-binlog=0",
    "--key-buffer-size=4M",
    "--max-connections=700",
    "--max-allowed-packet=256M",
    "--log-bin=binlog",
    "--relay-log=relay",
];

const MARIADB_OPTIONS: &[&str] = &[
    "--innodb-log-file-size=8M",
    "--aria-pagecache-buffer-size=8M",
    "--log-warnings=1",
    "--binlog-format=ROW",
    "--log-slave-updates=ON",
    "--gtid-strict-mode=ON",
];

const MYSQL_OPTIONS: &[&str] = &[
    "--innodb-redo-log-capacity=16M",
    "--mysqlx=OFF",
    "--secure-file-priv=",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--performance-schema=OFF",
    "--local-infile=ON",
    "--optimizer-switch=block_nested_loop=off", // long results begin at once, not after a hash join
];

/// Accounts of every server: `test` for tests, `geogate` for the proxy, `repl` for replication.
const ACCOUNTS: &str = "CREATE USER test@'%' IDENTIFIED BY 'test';
GRANT ALL ON *.* TO test@'%' WITH GRANT OPTION;
CREATE USER geogate@'%' IDENTIFIED BY 'geogate';
GRANT ALL ON *.* TO geogate@'%' WITH GRANT OPTION;
CREATE USER repl@'%' IDENTIFIED BY 'repl';
GRANT REPLICATION SLAVE ON *.* TO repl@'%';
";

/// The kind of server.
pub(crate) enum Software {
    /// MariaDB, as installed.
    MariaDb,
    /// Oracle MySQL below this folder.
    MySql { root: PathBuf },
}

/// The kind of server of this run.
pub(crate) static SOFTWARE: LazyLock<Software> =
    LazyLock::new(|| match env::var_os("GEOGATE_TEST_MYSQL") {
        Some(root) if !root.is_empty() => Software::MySql { root: root.into() },
        _ => Software::MariaDb,
    });

/// The port, number and additional options of a server to launch.
pub(crate) struct Launch<'a> {
    pub(crate) port: u16,
    pub(crate) id: u32,
    pub(crate) options: &'a [String],
}

impl Software {
    /// Whether it is Oracle MySQL.
    pub(crate) fn is_mysql(&self) -> bool {
        matches!(self, Self::MySql { .. })
    }

    /// A new folder's path for everything this run leaves; servers can see it.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let name = format!("blackbox-{}", process::id());
        match self {
            Self::MariaDb => Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
            Self::MySql { root } => root.join(name),
        }
    }

    /// A statement or definition written for MariaDB in this server's words.
    pub(crate) fn words(&self, text: &str) -> String {
        match self {
            Self::MariaDb => text.to_owned(),
            Self::MySql { .. } => text
                .replace("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
                .replace("u UUID", "u CHAR(36)")
                .replace("tx_isolation", "transaction_isolation")
                .replace("tx_read_only", "transaction_read_only"),
        }
    }

    /// What stands in FROM for the rows 1 to `last` of a column `seq`; an alias must follow.
    pub(crate) fn series(&self, last: u64) -> String {
        if matches!(self, Self::MariaDb) {
            return format!("seq_1_to_{last}");
        }
        let digits = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect::<Vec<_>>();
        let digits = digits.join(" UNION ALL ");
        let places = last.checked_ilog10().unwrap_or(0) + 1;
        let sum = |at: u32| format!(" + {} * p{at}.d", 10_u64.pow(at));
        let sum = (0..places).map(sum).collect::<Vec<_>>().concat();
        let from: Vec<String> = (0..places).map(|at| format!("({digits}) p{at}")).collect();
        format!("(SELECT 1{sum} AS seq FROM {} WHERE 1{sum} <= {last})", from.join(", "))
    }

    /// Makes a server a replica of the one on `port`; it takes everything from the beginning.
    pub(crate) fn replicate_from(&self, port: u16) -> Vec<String> {
        let (start, source) = match self {
            Self::MariaDb => (
                "SET GLOBAL gtid_slave_pos = ''",
                format!(
                    "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, \
                     MASTER_USER = 'repl', MASTER_PASSWORD = 'repl', \
                     MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1"
                ),
            ),
            Self::MySql { .. } => (
                "RESET BINARY LOGS AND GTIDS",
                format!(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, \
                     SOURCE_USER = 'repl', SOURCE_PASSWORD = 'repl', SOURCE_AUTO_POSITION = 1, \
                     GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1"
                ),
            ),
        };
        let rest = ["START REPLICA", "SET GLOBAL read_only = ON"].map(str::to_owned);
        [vec![start.to_owned(), source], rest.to_vec()].concat()
    }

    /// Makes a server that has rows a replica of the one on `port`: it takes what it lacks.
    pub(crate) fn follow(&self, port: u16) -> Vec<String> {
        let mut statements = self.replicate_from(port);
        match self {
            Self::MariaDb => {
                let position = "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos";
                statements.splice(0..1, [position.to_owned()]);
            }
            // What it has it tells by itself.
            Self::MySql { .. } => drop(statements.remove(0)),
        }
        statements.insert(0, "STOP REPLICA".to_owned());
        statements
    }

    /// Makes a server a replica of the one on `port` from a position on, whatever it has logged.
    pub(crate) fn follow_from(&self, port: u16, position: &str) -> Vec<String> {
        let mut statements = self.replicate_from(port);
        let position = position.replace('\n', "");
        let begin: &[String] = match self {
            Self::MariaDb => &[
                "STOP REPLICA".to_owned(),
                "RESET MASTER".to_owned(),
                format!("SET GLOBAL gtid_slave_pos = '{position}'"),
            ],
            Self::MySql { .. } => &[
                "STOP REPLICA".to_owned(),
                "RESET REPLICA ALL".to_owned(),
                "RESET BINARY LOGS AND GTIDS".to_owned(),
                format!("SET GLOBAL gtid_purged = '{position}'"),
            ],
        };
        statements.splice(0..1, begin.iter().cloned());
        statements
    }

    /// The variable with the position of everything that a server has written.
    pub(crate) fn written_position(&self) -> &'static str {
        match self {
            Self::MariaDb => "@@gtid_binlog_pos",
            Self::MySql { .. } => "@@global.gtid_executed",
        }
    }

    /// A statement that waits up to 30 seconds for a position and answers 0.
    pub(crate) fn wait_for(&self, position: &str) -> String {
        match self {
            Self::MariaDb => format!("SELECT MASTER_GTID_WAIT('{position}', 30)"),
            Self::MySql { .. } => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', 30)"),
        }
    }

    /// Initialises a data folder with the tests' accounts.
    pub(crate) fn initialise(&self, folder: &Path) {
        match self {
            Self::MariaDb => install_mariadb(folder),
            Self::MySql { .. } => {
                let accounts = folder.with_extension("sql");
                fs::write(&accounts, ACCOUNTS).expect("the run's folder is writable");
                let mut command = self.server();
                command.arg("--initialize-insecure").arg(self.option("datadir", folder));
                command.arg(self.option("init-file", &accounts));
                command.arg("--innodb-redo-log-capacity=16M").args(as_root());
                let output = command.output().expect("chroot is installed");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                // Its name, which every copy must have of its own.
                let _ = fs::remove_file(folder.join("auto.cnf"));
            }
        }
    }

    /// Starts a server on an initialised folder.
    pub(crate) fn launch(&self, folder: &Path, socket: &Path, launch: &Launch<'_>) -> Child {
        let log = File::create(folder.join("log")).expect("the server's folder is writable");
        let mut command = self.server();
        command.arg(self.option("datadir", folder));
        command.arg(self.option("socket", socket));
        command.arg(self.option("pid-file", &folder.join("pid")));
        command.arg(self.option("tmpdir", &temporary_folder(folder)));
        command.arg(format!("--port={}", launch.port)).arg(format!("--server-id={}", launch.id));
        command.args(OPTIONS).args(match self {
            Self::MariaDb => MARIADB_OPTIONS,
            Self::MySql { .. } => MYSQL_OPTIONS,
        });
        command.args(launch.options).args(as_root());
        command.stdout(log.try_clone().expect("a file handle can be copied")).stderr(log);
        spawn_owned(command).expect("the server and setpriv are installed (see tests/run.sh)")
    }

    /// Lets accounts log in without TLS: MySQL wants a password in full once, and takes it over
    /// its socket.
    pub(crate) fn warm_logins(&self, socket: &Path) {
        let Self::MySql { root } = self else { return };
        for name in ["test", "repl"] {
            let mut command = Command::new("chroot");
            command.arg(root).args(["mysql", "--no-defaults", "-e", "DO 1"]);
            command.arg(format!("-u{name}")).arg(format!("-p{name}"));
            command.arg(self.option("socket", socket));
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }

    fn server(&self) -> Command {
        let mut command = match self {
            Self::MariaDb => owned_command("mariadbd"),
            Self::MySql { root } => {
                let mut command = owned_command("chroot");
                command.arg(root).arg("mysqld");
                command
            }
        };
        command.arg("--no-defaults");
        command
    }

    /// An option whose value is a path, as the server sees it.
    pub(crate) fn option(&self, name: &str, path: &Path) -> String {
        let path = match self {
            Self::MariaDb => path.to_path_buf(),
            Self::MySql { root } => {
                Path::new("/").join(path.strip_prefix(root).expect("servers see below their root"))
            }
        };
        format!("--{name}={}", path.display())
    }
}

fn install_mariadb(folder: &Path) {
    let made = folder.with_extension("made");
    let mut install = Command::new("bash");
    install.args(["tests/servers.sh", "data"]).arg(&made);
    install.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = install.spawn().expect("bash is installed");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(ACCOUNTS.as_bytes()).expect("the script reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("the script ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    fs::rename(made.join("data"), folder).expect("the run's folder is writable");
}

/// A folder for temporary tables beside the data folder. A server that starts removes the temporary
/// tables that it finds, so no two may share one.
fn temporary_folder(data: &Path) -> PathBuf {
    let folder = data.with_extension("tmp");
    fs::create_dir_all(&folder).expect("the run's folder is writable");
    folder
}

/// Servers refuse to run as root unless told so.
fn as_root() -> Option<&'static str> {
    let output = Command::new("id").arg("-u").output().expect("id is installed");
    (output.stdout == b"0\n").then_some("--user=root")
}
