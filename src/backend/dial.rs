//! Making a connection: reach the server, agree on capabilities and TLS, log in, set up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::account::AccountTrouble;
use super::connection::{Connection, Established};
use super::defaults::{Defaults, SeenDefaults};
use super::exchange::Failure;
use super::passed::PassedAttributes;
use super::presence::Presence;
use super::profile::Profile;
use super::server_kind::ServerKind;
use super::settings::{Names, Settings};
use super::term::Term;
use crate::clock::{self, Instant};
use crate::config::{Address, Secret, ServerCompression};
use crate::error::SqlError;
use crate::net::{Algorithm, Codecs, Framed, ReadError, Side, Stream};
use crate::topology::ServerId;
use crate::wire::auth::{CACHING_SHA2, NATIVE, Nonce, caching_sha2, native};
use crate::wire::capability::Capabilities;
use crate::wire::cursor::Malformed;
use crate::wire::err::ErrPacket;
use crate::wire::handshake::{Attributes, AuthMoreData, Greeting, HandshakeResponse, ServerAuth};
use crate::wire::packet::build_packet;

/// A packet of the connection phase is never longer.
const PACKET_MAX: usize = 64 << 10;
/// MySQL's default.
const ZSTD_LEVEL: u8 = 3;
/// utf8mb4_general_ci, which every server knows.
const COLLATION: u8 = 45;

/// How long a server without room for one connection more is asked to stop a statement, and the
/// pause between two times.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
const KILL_PAUSE: Duration = Duration::from_millis(200);

/// How long a server's refusal of Geogate's account is taken for its next one too.
const REFUSAL_STANDS: Duration = Duration::from_secs(1);

/// How to connect to one server.
#[derive(Clone, Debug)]
pub struct Dial {
    settings: Arc<DialSettings>,
    /// The capabilities in the server's last greeting; none before the first.
    offered: Arc<AtomicU64>,
    /// What the server gives new sessions, as it was seen last.
    defaults: Arc<Mutex<SeenDefaults>>,
    /// What the server is, as it was seen last.
    kind: Arc<ArcSwapOption<ServerKind>>,
    /// It does not take Geogate's account, and until when it is not asked again.
    refusal: Arc<Mutex<Option<(Instant, DialError)>>>,
    /// Who may try again to kill a statement at a server that is full.
    kill_turns: Arc<Semaphore>,
    /// Who may kill a statement.
    kill_places: Arc<Semaphore>,
    /// The connections that are open.
    presence: Arc<Presence>,
    /// Whether its answers count.
    term: Arc<Term>,
}

/// So many try again at once.
const KILLS_AT_ONCE: usize = 4;
/// So many connections are made at once to kill statements.
const KILL_CONNECTIONS: usize = 32;

/// What [`Dial`] needs to know.
#[derive(Debug)]
pub struct DialSettings {
    /// Which server it is.
    pub server: ServerId,
    /// Where the server is.
    pub address: Address,
    /// Geogate's account there.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// TLS, if it is to be used.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long it may be silent before the kernel asks for the server.
    pub keepalive: Duration,
    /// How packets are compressed after the login.
    pub compression: ServerCompression,
    /// Where compression states are kept.
    pub codecs: Arc<Codecs>,
    /// Attributes of clients that the server is told.
    pub passed: Arc<PassedAttributes>,
    /// Prepared statements kept on a connection.
    pub statements_max: usize,
}

/// Why no connection was made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// The server could not be reached, or hung up.
    #[error("{address}: {error}")]
    Io {
        /// The server.
        address: Address,
        /// What happened.
        error: Arc<io::Error>,
    },
    /// It took too long.
    #[error("{address}: no connection within {timeout:?}")]
    Timeout {
        /// The server.
        address: Address,
        /// The limit.
        timeout: Duration,
    },
    /// The server refused.
    #[error("{address} refused the login: {error}")]
    Refused {
        /// The server.
        address: Address,
        /// Its error.
        error: SqlError,
    },
    /// The server cannot do what is needed, or talks nonsense.
    #[error("{address}: {reason}")]
    Unsuitable {
        /// The server.
        address: Address,
        /// What is missing.
        reason: String,
    },
}

/// A server's errors when it allows no more connections: ER_CON_COUNT_ERROR,
/// ER_TOO_MANY_USER_CONNECTIONS and ER_USER_LIMIT_REACHED.
pub const TOO_MANY: &[u16] = &[1040, 1203, 1226];

impl DialError {
    /// The number of the server's error, if it has as many connections as it allows.
    pub(super) fn server_is_full(&self) -> Option<u16> {
        match self {
            Self::Refused { error, .. } => {
                Some(error.errno).filter(|errno| TOO_MANY.contains(errno))
            }
            _ => None,
        }
    }

    /// What is wrong with Geogate's account, if the server said so, and the number of its error.
    pub fn account_trouble(&self) -> Option<(AccountTrouble, u16)> {
        match self {
            Self::Refused { error, .. } => {
                AccountTrouble::of(error.errno).map(|trouble| (trouble, error.errno))
            }
            _ => None,
        }
    }

    /// The reason without the server's address, fit for a client.
    pub fn without_address(&self) -> String {
        match self {
            Self::Io { error, .. } => error.to_string(),
            Self::Timeout { timeout, .. } => format!("no connection within {timeout:?}"),
            Self::Refused { error, .. } => account_refused(error.errno),
            Self::Unsuitable { reason, .. } => reason.clone(),
        }
    }
}

/// That a server refuses Geogate's account, in words for clients.
pub fn account_refused(errno: u16) -> String {
    match AccountTrouble::of(errno) {
        Some(trouble) => {
            format!("it refused Geogate's account, {} (error {errno})", trouble.reason())
        }
        None => format!("it refused Geogate's account with error {errno}"),
    }
}

impl Dial {
    /// A dialler.
    pub fn new(settings: DialSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            offered: Arc::new(AtomicU64::new(0)),
            defaults: Arc::default(),
            kind: Arc::default(),
            refusal: Arc::default(),
            kill_turns: Arc::new(Semaphore::new(KILLS_AT_ONCE)),
            kill_places: Arc::new(Semaphore::new(KILL_CONNECTIONS)),
            presence: Arc::default(),
            term: Arc::default(),
        }
    }

    /// Whether what the server answers counts.
    pub fn term(&self) -> &Arc<Term> {
        &self.term
    }

    /// What the server gives new sessions, as it was seen last; `None` before it was reached.
    pub fn defaults(&self) -> Option<Arc<Defaults>> {
        self.defaults.lock().defaults()
    }

    /// The settings of a session that begins there with a character set.
    pub fn first_settings(&self, names: Names) -> Arc<Settings> {
        self.defaults.lock().first_settings(names)
    }

    /// What the server is, as it was seen last; `None` before it was reached.
    pub fn kind(&self) -> Option<Arc<ServerKind>> {
        self.kind.load_full()
    }

    /// Notes what the server is.
    pub fn note_kind(&self, seen: &ServerKind) {
        if self.kind.load().as_deref() != Some(seen) {
            self.kind.store(Some(Arc::new(seen.clone())));
        }
    }

    /// The connections that are open.
    pub(super) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// How often the server was looked at, for [`note_defaults`](Self::note_defaults).
    pub(super) fn looks(&self) -> u32 {
        self.defaults.lock().looks()
    }

    /// Notes what a new session was given, unless the server was looked at since `looks`: then this
    /// is the older of the two.
    pub(super) fn note_defaults(&self, defaults: Defaults, looks: u32) {
        self.defaults.lock().note(defaults, looks);
    }

    /// Notes what the server says that it gives new sessions now.
    pub(super) fn note_look(&self, defaults: Defaults) {
        self.defaults.lock().note_look(defaults);
    }

    /// What the server can do, as it said last; nothing before it was reached.
    pub fn offered(&self) -> Capabilities {
        Capabilities::from_bits_retain(self.offered.load(Ordering::Relaxed))
    }

    /// The account that it uses.
    pub fn user(&self) -> &str {
        &self.settings.user
    }

    /// Which server it connects to.
    pub fn server(&self) -> ServerId {
        self.settings.server
    }

    /// Where it connects to.
    pub fn address(&self) -> &Address {
        &self.settings.address
    }

    /// Makes a connection with the capabilities of `profile`. A server that does not take Geogate's
    /// account is not asked by every statement: for a moment its answer stands.
    pub async fn connect(&self, profile: Profile) -> Result<Connection, DialError> {
        let standing = self.refusal.lock().clone();
        if let Some((until, error)) = standing
            && clock::now() < until
        {
            return Err(error);
        }
        let made = self.try_connect(profile).await;
        if let Err(error) = &made
            && let Some((trouble, _)) = error.account_trouble()
        {
            self.note_refusal(error, trouble);
        }
        made
    }

    fn note_refusal(&self, error: &DialError, trouble: AccountTrouble) {
        let (mut standing, now) = (self.refusal.lock(), clock::now());
        if standing.as_ref().is_none_or(|(until, _)| *until <= now) {
            tracing::error!(%error, "a server refuses Geogate's account: {}", trouble.advice());
            *standing = Some((now + REFUSAL_STANDS, error.clone()));
        }
    }

    async fn try_connect(&self, profile: Profile) -> Result<Connection, DialError> {
        let address = || self.settings.address.clone();
        let timeout = self.settings.timeout;
        match tokio::time::timeout(timeout, self.establish(profile)).await {
            Err(_) => Err(DialError::Timeout { address: address(), timeout }),
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(reason)) => Err(match reason {
                Reason::Io(error) => DialError::Io { address: address(), error: Arc::new(error) },
                Reason::Refused(error) => DialError::Refused { address: address(), error },
                Reason::Unsuitable(reason) => DialError::Unsuitable { address: address(), reason },
            }),
        }
    }

    /// Asks the server to stop the statement that runs on another connection. A server that is full
    /// is asked again for a while: the statement may be what keeps it full. Few connections are
    /// made for that at once: a server that hangs gets no more of them the longer it hangs.
    pub async fn kill_query(&self, thread_id: u32) -> Result<(), DialError> {
        let deadline = clock::now() + KILL_PATIENCE;
        let place = tokio::time::timeout_at(deadline, self.kill_places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            let address = self.settings.address.clone();
            return Err(DialError::Timeout { address, timeout: KILL_PATIENCE });
        };
        let mut turn = None;
        let mut connection = loop {
            match self.connect(Profile::of(Capabilities::EMPTY)).await {
                Ok(connection) => break connection,
                Err(error) if error.server_is_full().is_some() && clock::now() < deadline => {
                    if turn.is_none() {
                        turn = self.kill_turns.acquire().await.ok();
                    }
                    clock::sleep(KILL_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        };
        // The statement may have ended meanwhile: an unknown id is no error here.
        let _ = connection.execute(format!("KILL QUERY {thread_id}").as_bytes()).await;
        Ok(())
    }

    async fn establish(&self, profile: Profile) -> Result<Connection, Reason> {
        let stream = self.reach().await?;
        let entered = self.term.enter(stream.socket()?);
        let mut framed = Framed::new(stream);
        let packet = framed.read_packet(PACKET_MAX).await?;
        let payload = framed.payload(packet);
        if let Ok(error) = ErrPacket::parse(payload) {
            return Err(refused(&error));
        }
        let greeting = Greeting::parse(payload)?;
        let kind = ServerKind::parse(greeting.server_version);
        let thread_id = greeting.connection_id;
        let offered = greeting.capabilities;
        self.offered.store(offered.bits(), Ordering::Relaxed);
        let plugin = if greeting.auth_plugin == CACHING_SHA2 { CACHING_SHA2 } else { NATIVE };
        let nonce = greeting.nonce;
        framed.consume_packet(packet);

        let capabilities = self.agree(offered, profile)?;
        let answer = scramble(plugin, self.settings.password.reveal(), &nonce);
        let attributes = attributes(&self.settings.passed.get(profile.attributes()));
        let response = HandshakeResponse {
            capabilities,
            max_packet: 1 << 30,
            collation: COLLATION,
            user: self.settings.user.as_bytes(),
            auth_data: &answer,
            database: b"",
            auth_plugin: plugin,
            attributes: Attributes::from_pairs(&attributes)?,
            zstd_level: ZSTD_LEVEL,
        };
        let mut sequence = 1;
        if let Some(tls) = &self.settings.tls {
            build_packet(&mut framed.out, &mut sequence, |out| response.ssl_request().encode(out));
            framed.flush().await?;
            let host = self.host_name()?;
            framed = framed
                .replace_stream(|stream, _| stream.connect_tls(Arc::clone(tls), host))
                .await?;
        }
        build_packet(&mut framed.out, &mut sequence, |out| response.encode(out));
        framed.flush().await?;
        self.log_in(&mut framed, nonce).await?;
        if let Some(algorithm) = self.algorithm() {
            framed = framed.compress(algorithm, Arc::clone(&self.settings.codecs), Side::Client);
        }

        self.set_up(Connection::new(Established {
            framed,
            capabilities,
            profile,
            kind,
            thread_id,
            dial: self.clone(),
            names: Names::utf8mb4(),
            statements_max: self.settings.statements_max,
            entered,
        }))
        .await
    }

    /// Sets a session of the server up, if it is one of the server that is known at the address.
    async fn set_up(&self, mut connection: Connection) -> Result<Connection, Reason> {
        let identity = connection.set_up().await.map_err(|failure| match failure {
            Failure::Server(error) => Reason::Refused(error),
            Failure::Io(error) => Reason::Io(error),
            Failure::Malformed(error) => Reason::from(error),
            Failure::Outdated(_) | Failure::Overdue => Reason::Unsuitable(failure.to_string()),
        })?;
        if !self.term.is_known(identity.as_ref()) {
            let reason = "another server answers there than the one that was looked at last";
            return Err(Reason::Unsuitable(reason.to_owned()));
        }
        Ok(connection)
    }

    /// The capabilities to ask for, if the server has all that is needed.
    fn agree(&self, offered: Capabilities, profile: Profile) -> Result<Capabilities, Reason> {
        let wished = offered.intersection(Capabilities::CONNECT_ATTRS);
        let mut capabilities = needed().union(wished).union(profile.capabilities());
        if self.settings.tls.is_some() {
            capabilities.insert(Capabilities::SSL);
        }
        let (compressing, name) = match self.settings.compression {
            ServerCompression::None => (Capabilities::EMPTY, ""),
            ServerCompression::Zlib => (Capabilities::COMPRESS, "zlib"),
            ServerCompression::Zstd => (Capabilities::ZSTD_COMPRESSION, "zstd"),
        };
        if !offered.contains(compressing) {
            return Err(Reason::Unsuitable(format!(
                "the server does not offer compression = \"{name}\"; MariaDB has zlib only, MySQL \
                 what its protocol_compression_algorithms names"
            )));
        }
        capabilities.insert(compressing);
        // It changes no answer, so whoever wants it may use the connection.
        capabilities.insert(offered & Capabilities::MARIADB_STMT_BULK_OPERATIONS);
        // A server without it says so itself when a statement needs it.
        if !offered.contains(Capabilities::LOCAL_FILES) {
            capabilities.remove(Capabilities::LOCAL_FILES);
        }
        if offered.contains(capabilities) {
            return Ok(capabilities);
        }
        let missing = capabilities.difference(offered);
        Err(Reason::Unsuitable(format!("the server cannot do {missing:?}")))
    }

    fn algorithm(&self) -> Option<Algorithm> {
        match self.settings.compression {
            ServerCompression::None => None,
            ServerCompression::Zlib => Some(Algorithm::Zlib),
            ServerCompression::Zstd => Some(Algorithm::Zstd { level: ZSTD_LEVEL }),
        }
    }

    async fn reach(&self) -> io::Result<Stream> {
        Ok(match &self.settings.address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                let stream = Stream::Tcp(stream);
                stream.set_options(self.settings.keepalive)?;
                stream
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        })
    }

    fn host_name(&self) -> Result<ServerName<'static>, Reason> {
        let host = match &self.settings.address {
            Address::Tcp(host, _) => host.clone(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        ServerName::try_from(host).map_err(|error| Reason::Unsuitable(error.to_string()))
    }

    /// Answers what the server asks until it lets us in.
    async fn log_in(&self, framed: &mut Framed, mut nonce: Nonce) -> Result<(), Reason> {
        let password = self.settings.password.reveal();
        // Three rounds are the most that any plugin takes; a server that asks on is up to no good.
        for _ in 0..6 {
            let packet = framed.read_packet(PACKET_MAX).await?;
            let mut sequence = packet.sequence.wrapping_add(1);
            let answer = match ServerAuth::parse(framed.payload(packet))? {
                ServerAuth::Ok(_) => {
                    framed.consume_packet(packet);
                    return Ok(());
                }
                ServerAuth::Err(error) => return Err(refused(&error)),
                ServerAuth::Switch(request) => {
                    nonce = request.nonce()?;
                    match request.plugin {
                        plugin if plugin == NATIVE || plugin == CACHING_SHA2 => {
                            Some(scramble(plugin, password, &nonce))
                        }
                        other => {
                            let plugin = String::from_utf8_lossy(other);
                            return Err(Reason::Unsuitable(format!(
                                "it wants authentication plugin {plugin}; give Geogate's account \
                                 caching_sha2_password or mysql_native_password"
                            )));
                        }
                    }
                }
                ServerAuth::MoreData(AuthMoreData([caching_sha2::FAST_OK])) => None,
                ServerAuth::MoreData(AuthMoreData([caching_sha2::FULL_AUTHENTICATION])) => {
                    Some(if framed.stream().is_private() {
                        caching_sha2::clear_answer(password.as_bytes())
                    } else {
                        vec![caching_sha2::REQUEST_PUBLIC_KEY]
                    })
                }
                ServerAuth::MoreData(AuthMoreData(key)) => Some(
                    caching_sha2::encrypt_password(key, password.as_bytes(), &nonce)
                        .map_err(|error| Reason::Unsuitable(error.to_string()))?,
                ),
            };
            framed.consume_packet(packet);
            if let Some(answer) = answer {
                build_packet(&mut framed.out, &mut sequence, |out| out.extend_from_slice(&answer));
                framed.flush().await?;
            }
        }
        Err(Reason::Unsuitable("authentication does not end".to_owned()))
    }
}

/// How Geogate presents itself to servers, with the attributes that are passed on: those that all
/// clients of the connection have. The list of sessions shows the others.
fn attributes(passed: &[(Box<str>, Box<str>)]) -> Vec<u8> {
    let pid = std::process::id().to_string();
    let mut pairs = Vec::new();
    let known = [
        ("_client_name", "geogate"),
        ("_client_version", env!("CARGO_PKG_VERSION")),
        ("_os", std::env::consts::OS),
        ("_platform", std::env::consts::ARCH),
        ("_pid", &pid),
        ("program_name", "geogate"),
    ];
    let is_passed = |name: &str| passed.iter().any(|(passed, _)| **passed == *name);
    let own = known.into_iter().filter(|(name, _)| !is_passed(name));
    let theirs = passed.iter().map(|(name, value)| (&**name, &**value));
    let bytes = own.chain(theirs).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Attributes::encode_pairs(&mut pairs, bytes);
    pairs
}

/// What Geogate asks of every server.
fn needed() -> Capabilities {
    Capabilities::LONG_FLAG
        .union(Capabilities::PROTOCOL_41)
        .union(Capabilities::TRANSACTIONS)
        .union(Capabilities::SECURE_CONNECTION)
        .union(Capabilities::PLUGIN_AUTH)
        .union(Capabilities::PLUGIN_AUTH_LENENC)
        .union(Capabilities::SESSION_TRACK)
}

fn scramble(plugin: &[u8], password: &str, nonce: &Nonce) -> Vec<u8> {
    if plugin == CACHING_SHA2 {
        caching_sha2::scramble(password.as_bytes(), nonce)
    } else {
        native::scramble(password.as_bytes(), nonce)
    }
}

fn refused(error: &ErrPacket<'_>) -> Reason {
    Reason::Refused(SqlError::from_server(error.errno, error.sqlstate, error.message))
}

/// [`DialError`] before the address is added.
enum Reason {
    Io(io::Error),
    Refused(SqlError),
    Unsuitable(String),
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for Reason {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::Closed => Self::Io(io::ErrorKind::UnexpectedEof.into()),
            other => Self::Unsuitable(other.to_string()),
        }
    }
}

impl From<Malformed> for Reason {
    fn from(error: Malformed) -> Self {
        Self::Unsuitable(format!("not a MySQL server: {error}"))
    }
}
