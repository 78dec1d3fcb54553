//! The Geogate process under test: started from a generated configuration, stopped with the tests.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use crate::client::{Client, Login};
use crate::server::{free_port, owned_command, send_signal, spawn_owned, tail, wait_until};

/// A running `geogate serve`.
pub(crate) struct Proxy {
    /// Port of the MySQL protocol.
    pub(crate) port: u16,
    /// Port of the control HTTP listener.
    pub(crate) control_port: u16,
    /// Folder of `geogate.toml`, the VSchema and the log.
    pub(crate) folder: PathBuf,
    child: Mutex<Child>,
}

impl Proxy {
    /// Writes `geogate.toml` with the parts that every test shares, adds `rest` (regions,
    /// keyspaces, limits, its own `[tls]` or `[backend]`; last, what else `[listen]` shall have),
    /// writes the VSchema files and starts the proxy. Panics with its log if it does not take a
    /// login within 20 seconds.
    pub(crate) fn start(folder: &Path, rest: &str, vschema: &[(String, String)]) -> Self {
        let proxy = Self::start_unready(folder, rest, vschema);
        proxy.wait_ready();
        proxy
    }

    /// The same for a proxy that takes no plain login; waits until it listens.
    pub(crate) fn start_unready(folder: &Path, rest: &str, vschema: &[(String, String)]) -> Self {
        fs::create_dir_all(folder.join("vschema")).expect("the run's folder is writable");
        let (port, control_port) = (free_port(), free_port());
        let mut config = String::new();
        let (before, listen) = match rest.split_once("[listen]\n") {
            Some((before, lines)) => (before, lines),
            None => (rest, ""),
        };
        let _ = write!(
            config,
            r#"[listen]
mysql = "127.0.0.1:{port}"
{listen}
[control]
address = "127.0.0.1:{control_port}"
[[control.token]]
token = "admin"
role = "admin"
[vschema]
path = "vschema"
[[user]]
name = "test"
password = "test"
[[user]]
name = "sha2"
password = "secret"
"#
        );
        for (table, lines) in [
            ("[tls]", "mode = \"preferred\""),
            ("[backend]", "user = \"geogate\"\npassword = \"geogate\""),
        ] {
            if !before.contains(table) {
                let _ = writeln!(config, "{table}\n{lines}");
            }
        }
        config.push_str(before);
        fs::write(folder.join("geogate.toml"), config).expect("the run's folder is writable");
        for (name, text) in vschema {
            fs::write(folder.join("vschema").join(name), text).expect("the folder is writable");
        }
        let child = Mutex::new(launch(folder));
        let proxy = Self { port, control_port, folder: folder.into(), child };
        let listens = wait_until(Duration::from_secs(20), || {
            TcpStream::connect(proxy.socket_address()).is_ok()
        });
        assert!(listens, "the proxy does not listen:\n{}", proxy.log_tail());
        proxy
    }

    /// Address of the MySQL protocol.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A new connection as `test`.
    pub(crate) fn client(&self, keyspace: &str) -> Client {
        Client::connect(self.socket_address(), &Login::test(keyspace))
            .unwrap_or_else(|error| panic!("proxy: {error}\n{}", self.log_tail()))
    }

    /// Waits until a login works; panics with the log.
    pub(crate) fn wait_ready(&self) {
        let ready = wait_until(Duration::from_secs(20), || {
            Client::connect(self.socket_address(), &Login::test("")).is_ok()
        });
        assert!(ready, "the proxy does not take a login:\n{}", self.log_tail());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().expect("no test panics while it holds this lock").id()
    }

    /// Sends a signal (`TERM`, `HUP`, `KILL`, ...).
    pub(crate) fn signal(&self, name: &str) {
        let child = self.child.lock().expect("no test panics while it holds this lock");
        send_signal(name, child.id());
    }

    /// Stops it with SIGTERM and waits for its end, at most 20 seconds.
    pub(crate) fn stop(&self) {
        self.signal("TERM");
        let mut child = self.child.lock().expect("no test panics while it holds this lock");
        let ended = wait_until(Duration::from_secs(20), || matches!(child.try_wait(), Ok(Some(_))));
        assert!(ended, "the proxy does not stop on SIGTERM:\n{}", self.log_tail());
    }

    /// Starts it again with the configuration as it now lies in the folder.
    pub(crate) fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Starts it after [`Proxy::stop`].
    pub(crate) fn start_again(&self) {
        *self.child.lock().expect("no test panics while it holds this lock") = launch(&self.folder);
        self.wait_ready();
    }

    /// One HTTP request on the control listener as `admin`: status and body.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.control_port))
            .unwrap_or_else(|error| panic!("control: {error}\n{}", self.log_tail()));
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid duration");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the control listener reads");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("the control listener answers");
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let status = reply.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status, body.unwrap_or_default())
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.folder.join("proxy.log"), 60)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut child = self.child.lock().expect("no test panics while it holds this lock");
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Runs `geogate serve` with the configuration in a folder, which somebody else has written.
pub(crate) fn serve_folder(folder: &Path) -> Child {
    launch(folder)
}

fn launch(folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("proxy.log"))
        .expect("the proxy's folder is writable");
    let binary = std::env::var_os("GEOGATE_BIN");
    let mut command = owned_command(binary.unwrap_or(env!("CARGO_BIN_EXE_geogate").into()));
    command.args(["serve", "--config"]).arg(folder.join("geogate.toml"));
    command.stdout(log.try_clone().expect("a file handle can be copied")).stderr(log);
    spawn_owned(command).expect("setpriv is installed")
}
