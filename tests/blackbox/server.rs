//! One server for tests (see `software`): started in a private folder, stopped with the tests.
//!
//! A data folder is initialised once per run and copied for every server, so that a server is
//! ready in a fraction of a second. Servers die with the test process (`setpriv --pdeathsig`), and
//! a watchdog removes the folder of the run; nothing is left however the tests end.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use crate::client::{Answer, Client, Login};
use crate::software::{Launch, SOFTWARE, Software};

/// The folder of this run; the watchdog removes it when the test process ends.
pub(crate) struct RunFolder {
    /// Where servers, configurations and logs lie.
    pub(crate) path: PathBuf,
    /// Where unix sockets lie: their paths are limited to about 100 bytes, the target folder's
    /// may be longer.
    sockets: PathBuf,
    /// It acts when its standard input is closed, by whatever end of this process.
    _watchdog: Option<Child>,
}

/// Made once; `GEOGATE_KEEP=1` keeps it after the run.
pub(crate) static RUN: LazyLock<RunFolder> = LazyLock::new(|| {
    let path = SOFTWARE.run_folder();
    fs::create_dir_all(&path).expect("the target folder is writable");
    let sockets = match &*SOFTWARE {
        Software::MariaDb => env::temp_dir().join(format!("geogate-{}", process::id())),
        Software::MySql { root } => root.join(format!("geogate-{}", process::id())),
    };
    fs::create_dir_all(&sockets).expect("the temporary folder is writable");
    let watchdog = env::var_os("GEOGATE_KEEP").is_none().then(|| {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' INT TERM HUP; cat >/dev/null; sleep 1; rm -rf \"$@\"", "sh"]);
        command
            .arg(&path)
            .arg(&sockets)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().expect("sh is installed")
    });
    RunFolder { path, sockets, _watchdog: watchdog }
});

/// A server that this process started.
pub(crate) struct Server {
    /// Short name for messages and folders.
    pub(crate) name: String,
    /// TCP port on 127.0.0.1.
    pub(crate) port: u16,
    folder: PathBuf,
    id: u32,
    options: Vec<String>,
    child: Mutex<Child>,
}

impl Server {
    /// Starts a server on a free port with an empty copy of the template; it may not be ready yet.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// The same with more options.
    pub(crate) fn start_with(name: &str, options: &[String]) -> Self {
        static IDS: AtomicU32 = AtomicU32::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let folder = RUN.path.join(format!("{id:02}-{name}"));
        copy_folder(&TEMPLATE, &folder).expect("the template can be copied");
        let port = free_port();
        let child = Mutex::new(launch(&folder, port, id, options));
        Self { name: name.into(), port, folder, id, options: options.into(), child }
    }

    /// Address as written in a configuration.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Address of the TCP listener.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Waits until a login works; panics with the server's log after 60 seconds.
    pub(crate) fn wait_ready(&self) {
        let ready = wait_until(Duration::from_secs(60), || {
            SOFTWARE.warm_logins(&socket_path(self.port));
            Client::connect(self.socket_address(), &Login::test("")).is_ok()
        });
        assert!(ready, "server {} does not answer:\n{}", self.name, self.log_tail());
    }

    /// A new connection as `test`.
    pub(crate) fn client(&self, database: &str) -> Client {
        Client::connect(self.socket_address(), &Login::test(database))
            .unwrap_or_else(|error| panic!("server {}: {error}", self.name))
    }

    /// Runs one statement on a connection of its own; panics if it fails.
    pub(crate) fn sql(&self, statement: &str) -> Answer {
        self.client("")
            .query(statement)
            .unwrap_or_else(|error| panic!("server {}: {error}: {statement}", self.name))
    }

    /// Makes this server a replica of `source` and waits until both threads run.
    pub(crate) fn replicate_from(&self, source: &Self) {
        for statement in SOFTWARE.replicate_from(source.port) {
            self.sql(&statement);
        }
        self.wait_replicating();
    }

    /// Makes this server, which has rows already, a replica of `source`.
    pub(crate) fn follow(&self, source: &Self) {
        for statement in SOFTWARE.follow(source.port) {
            self.sql(&statement);
        }
        self.wait_replicating();
    }

    /// Makes this server a replica of `source`, whose rows it has been given: what it has logged
    /// itself is forgotten.
    pub(crate) fn follow_from_here(&self, source: &Self) {
        let position = source.sql(&format!("SELECT {}", SOFTWARE.written_position())).scalar();
        for statement in SOFTWARE.follow_from(source.port, &position) {
            self.sql(&statement);
        }
        self.wait_replicating();
    }

    /// Promotes this replica, as a person would.
    pub(crate) fn promote(&self) {
        self.sql("STOP REPLICA");
        // Otherwise it follows its old source when it starts again.
        self.sql("RESET REPLICA ALL");
        self.sql("SET GLOBAL read_only = OFF");
    }

    fn wait_replicating(&self) {
        let running = wait_until(Duration::from_secs(20), || {
            let status = self.sql("SHOW REPLICA STATUS");
            let Some(values) = status.texts().pop() else { return false };
            let running = status.columns.iter().zip(&values).filter(|(column, _)| {
                column.name.ends_with("_IO_Running") || column.name.ends_with("_SQL_Running")
            });
            running.filter(|(_, value)| *value == "Yes").count() == 2
        });
        assert!(running, "replica {} does not run:\n{}", self.name, self.log_tail());
    }

    /// Waits until this replica has applied everything that `source` has written.
    pub(crate) fn wait_for(&self, source: &Self) {
        let position = source.sql(&format!("SELECT {}", SOFTWARE.written_position()));
        let wait = SOFTWARE.wait_for(&position.scalar());
        assert_eq!(self.sql(&wait).scalar(), "0", "replica {} lags", self.name);
    }

    /// Kills the process at once, as a crash would.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().expect("no test panics while it holds this lock");
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts the process again on its old data and port, and waits for it.
    pub(crate) fn restart(&self) {
        self.kill();
        *self.child.lock().expect("no test panics while it holds this lock") =
            launch(&self.folder, self.port, self.id, &self.options);
        self.wait_ready();
    }

    /// Replaces the process by a server of its own, without any rows, on the same port.
    pub(crate) fn replace(&self) {
        self.kill();
        fs::remove_dir_all(&self.folder).expect("the run's folder is writable");
        copy_folder(&TEMPLATE, &self.folder).expect("the template can be copied");
        *self.child.lock().expect("no test panics while it holds this lock") =
            launch(&self.folder, self.port, self.id + 1000, &self.options);
        self.wait_ready();
    }

    /// Stops the process without closing anything (SIGSTOP): a server that hangs.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        // A thread may run on for a moment.
        let pid = self.child.lock().expect("no test panics while it holds this lock").id();
        let stopped = wait_until(Duration::from_secs(5), || {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
            let mut states = threads.flatten().map(|thread| {
                let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
            });
            states.all(|stopped| stopped)
        });
        assert!(stopped, "server {} does not stop", self.name);
    }

    /// Lets a paused process go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.lock().expect("no test panics while it holds this lock");
        send_signal(name, child.id());
    }

    /// The errors in the server's log.
    pub(crate) fn logged_errors(&self) -> String {
        let log = tail(&self.folder.join("log"), 1000);
        log.lines().filter(|line| line.contains("[ERROR]")).collect::<Vec<_>>().join("\n")
    }

    /// The last lines of the server's log.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.folder.join("log"), 40)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal by name.
pub(crate) fn send_signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
}

/// Starts a process that dies with the test process. Its parent must be a thread that lives as long
/// as the tests (the death signal is tied to the thread), so one thread starts all of them.
pub(crate) fn spawn_owned(mut command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (sender, receiver): (_, Receiver<Order>) = channel();
        thread::spawn(move || {
            for (mut command, reply) in receiver {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    command.stdin(Stdio::null());
    let (reply, answer) = channel();
    SPAWNER.send((command, reply)).expect("the spawner lives as long as the process");
    answer.recv().expect("the spawner answers")
}

/// A command that runs under `setpriv`, so that it is killed when its parent thread ends.
pub(crate) fn owned_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A TCP port below the ephemeral range that nothing listens on; never handed out twice.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (process::id() % 500) as u16 * 20;
    for _ in 0..2000 {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {start}");
}

/// Polls every 20 ms until `done` or the limit; says whether it was done.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The last `lines` lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn launch(folder: &Path, port: u16, id: u32, options: &[String]) -> Child {
    SOFTWARE.launch(folder, &socket_path(port), &Launch { port, id, options })
}

/// The unix socket of the server on `port`.
pub(crate) fn socket_path(port: u16) -> PathBuf {
    RUN.sockets.join(format!("{port}.sock"))
}

/// The initialised data folder that every server copies.
static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = RUN.path.join("template");
    SOFTWARE.initialise(&folder);
    folder
});

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
