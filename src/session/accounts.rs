//! Who may log in, and the exchange that proves it.
//!
//! The protocol lets the client begin with any plugin; the account decides. A hash of either kind
//! is enough for the plugin of that kind; an account that has only MySQL's salted form gets the
//! clear password over TLS or encrypted with the RSA key, once per proxy: then the fast hash is
//! remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::{Credential, Networks, User};
use crate::error::{SqlError, catalog};
use crate::net::{Framed, ReadError};
use crate::wire::auth::caching_sha2::{self, RsaKey};
use crate::wire::auth::{CACHING_SHA2, NATIVE, Nonce, PasswordHash, Verdict};
use crate::wire::capability::Capabilities;
use crate::wire::handshake::{AuthMoreData, AuthSwitchRequest};
use crate::wire::packet::build_packet;

/// A packet of the connection phase is never longer.
const PACKET_MAX: usize = 64 << 10;

/// Who may log in.
#[derive(Debug)]
pub struct Accounts {
    by_name: HashMap<Box<str>, Arc<Account>>,
    /// Fast hashes of passwords that were proven in clear.
    proven: RwLock<HashMap<Box<str>, PasswordHash>>,
    rsa: RsaKey,
}

/// An account.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// The keyspace to start in.
    pub keyspace: Option<String>,
    /// No login without TLS.
    pub require_tls: bool,
    /// May change the canary with SQL, and end other users' sessions.
    pub operator: bool,
    /// Connections that it may have open at once.
    pub connections_max: Option<usize>,
    /// Milliseconds that its statements may take.
    statement_timeout_ms: Option<u32>,
    clients: Networks,
    hash: PasswordHash,
}

/// What a client said to prove who it is.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// User name.
    pub user: &'a [u8],
    /// The plugin it answered with; empty for old clients, which means native.
    pub plugin: &'a [u8],
    /// Its answer.
    pub answer: &'a [u8],
    /// Where it is; `None`: on this machine, over the Unix socket.
    pub address: Option<IpAddr>,
    /// Whether it can be asked for another plugin.
    pub switching: Switching,
    /// When it said so.
    pub occasion: Occasion,
}

/// When a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// At login.
    Login,
    /// In COM_CHANGE_USER.
    ChangeUser,
}

/// Whether a client knows the authentication switch (CLIENT_PLUGIN_AUTH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switching {
    /// It does.
    Known,
    /// It does not: a client from before MySQL 5.5.7.
    Unknown,
}

impl Switching {
    /// What a client's capabilities tell.
    pub fn of(client: Capabilities) -> Self {
        if client.contains(Capabilities::PLUGIN_AUTH) { Self::Known } else { Self::Unknown }
    }
}

/// Why nobody was let in.
#[derive(Debug)]
pub enum AuthError {
    /// The client is to be told this.
    Refused(SqlError),
    /// The client went away or broke the protocol.
    Lost,
}

impl Accounts {
    /// Checks the hashes of all users; gives a line for each that is not one.
    pub fn new(users: &[User], rsa: RsaKey) -> Result<Self, Vec<String>> {
        let mut by_name = HashMap::new();
        let mut problems = Vec::new();
        for user in users {
            match password_hash(&user.credential) {
                Ok(hash) => {
                    let account = Account {
                        name: user.name.as_str().into(),
                        keyspace: user.keyspace.clone(),
                        require_tls: user.require_tls,
                        operator: user.operator,
                        connections_max: user.connections_max,
                        statement_timeout_ms: user.statement_timeout_ms,
                        clients: user.clients.clone(),
                        hash,
                    };
                    by_name.insert(user.name.as_str().into(), Arc::new(account));
                }
                Err(reason) => problems.push(format!("[[user]] '{}': {reason}", user.name)),
            }
        }
        if problems.is_empty() {
            Ok(Self { by_name, proven: RwLock::default(), rsa })
        } else {
            Err(problems)
        }
    }

    /// Other users, whose passwords are proven anew where they differ.
    pub fn with_users(&self, users: &[User]) -> Result<Self, Vec<String>> {
        let new = Self::new(users, self.rsa.clone())?;
        let same = |name: &str| {
            let [before, after] = [self, &new].map(|accounts| accounts.by_name.get(name));
            before.zip(after).is_some_and(|(before, after)| before.hash == after.hash)
        };
        let proven = self.proven.read().clone();
        *new.proven.write() = proven.into_iter().filter(|(name, _)| same(name)).collect();
        Ok(new)
    }

    /// Finds out whether the client is who it says, asking it more where needed. `nonce` is that
    /// of the greeting: it is told again in every switch to another plugin, as MariaDB does,
    /// because clients differ in which one they take for COM_CHANGE_USER. `sequence` is the id of
    /// the next packet to the client.
    pub async fn authenticate(
        &self,
        framed: &mut Framed,
        sequence: &mut u8,
        nonce: Nonce,
        claim: Claim<'_>,
    ) -> Result<Arc<Account>, AuthError> {
        let account = self.find(&claim)?;
        let denied = |answer: &[u8]| denied(&claim, answer);
        if account.require_tls && !framed.stream().is_private() {
            return Err(AuthError::Refused(catalog::INSECURE_AUTH.error()));
        }
        let hash = self.hash_of(&account);
        let mut plugin = if claim.plugin.is_empty() { NATIVE } else { claim.plugin };
        let mut answer = claim.answer.to_vec();
        let usable =
            |plugin: &[u8]| plugin == CACHING_SHA2 || (plugin == NATIVE && hash.checks_native());
        let verify = |plugin: &[u8], answer: &[u8]| {
            if plugin == NATIVE {
                hash.verify_native(&nonce, answer)
            } else {
                hash.verify_sha2(&nonce, answer)
            }
        };
        // A client that changes its user may want to be asked first, and so does one whose plugin
        // is not the greeting's: they answer nothing before.
        let greeted = self.greeted();
        let chose_itself = plugin != greeted && answer.is_empty();
        let asks_again = claim.switching == Switching::Known
            && usable(plugin)
            && match verify(plugin, &answer) {
                Verdict::Accepted => false,
                Verdict::Denied => claim.occasion == Occasion::ChangeUser || chose_itself,
                Verdict::NeedsClear => chose_itself,
            };
        if asks_again || !usable(plugin) {
            if !usable(plugin) {
                // What the greeting named, if this account can be checked with it.
                let sha2_first = hash.checks_sha2() && greeted == CACHING_SHA2;
                let native = hash.checks_native() && !sha2_first;
                plugin = if native { NATIVE } else { CACHING_SHA2 };
            }
            if claim.switching == Switching::Unknown {
                return Err(AuthError::Refused(catalog::OLD_CLIENT.error()));
            }
            send(framed, sequence, |out| AuthSwitchRequest::encode(out, plugin, &nonce)).await?;
            answer = receive(framed, sequence).await?;
        }
        let verdict = verify(plugin, &answer);
        match verdict {
            Verdict::Accepted => {
                if plugin == CACHING_SHA2 && !answer.is_empty() {
                    let fast = [caching_sha2::FAST_OK];
                    send(framed, sequence, |out| AuthMoreData(&fast).encode(out)).await?;
                }
                Ok(account)
            }
            Verdict::Denied => Err(denied(&answer)),
            Verdict::NeedsClear => {
                let password = self.clear_password(framed, sequence, &nonce).await?;
                if !matches!(hash.verify_clear(&password), Verdict::Accepted) {
                    return Err(denied(&password));
                }
                let proven = hash.merged(PasswordHash::from_clear(&password));
                self.proven.write().insert(account.name.as_ref().into(), proven);
                Ok(account)
            }
        }
    }

    /// The account of that name, if it may come from where the client is. Neither failure is to be
    /// told from a wrong password.
    fn find(&self, claim: &Claim<'_>) -> Result<Arc<Account>, AuthError> {
        let name = String::from_utf8_lossy(claim.user);
        let account = self.by_name.get(&*name).cloned();
        let admits = |account: &Arc<Account>| {
            account.clients.is_empty() || account.clients.contain(claim.address)
        };
        account.filter(admits).ok_or_else(|| denied(claim, claim.answer))
    }

    /// Whether a user may change the canary with SQL, and end other users' sessions.
    pub fn is_operator(&self, user: &str) -> bool {
        self.by_name.get(user).is_some_and(|account| account.operator)
    }

    /// Milliseconds that a user's statements may take, if its account says so.
    pub(super) fn statement_timeout(&self, user: &str) -> Option<u32> {
        self.by_name.get(user)?.statement_timeout_ms
    }

    /// The plugin that the greeting should name: mysql_native_password, which every client that has
    /// no other understands, if all accounts can be checked with it.
    pub fn greeted(&self) -> &'static [u8] {
        let native = self.by_name.values().all(|account| account.hash.checks_native());
        if native { NATIVE } else { CACHING_SHA2 }
    }

    fn hash_of(&self, account: &Account) -> PasswordHash {
        let proven = self.proven.read().get(&*account.name).cloned();
        proven.unwrap_or_else(|| account.hash.clone())
    }

    /// Full authentication of caching_sha2_password: the clear password over a private stream,
    /// encrypted with our RSA key over an open one.
    async fn clear_password(
        &self,
        framed: &mut Framed,
        sequence: &mut u8,
        nonce: &Nonce,
    ) -> Result<Vec<u8>, AuthError> {
        let full = [caching_sha2::FULL_AUTHENTICATION];
        send(framed, sequence, |out| AuthMoreData(&full).encode(out)).await?;
        let mut answer = receive(framed, sequence).await?;
        if framed.stream().is_private() {
            let password =
                caching_sha2::password_in_clear_answer(&answer).ok_or(AuthError::Lost)?;
            return Ok(password.to_vec());
        }
        if answer == [caching_sha2::REQUEST_PUBLIC_KEY] {
            let key = self.rsa.public_pem();
            send(framed, sequence, |out| AuthMoreData(key).encode(out)).await?;
            answer = receive(framed, sequence).await?;
        }
        self.rsa.decrypt_password(&answer, nonce).map_err(|_| AuthError::Lost)
    }
}

/// The error that a server would give.
fn denied(claim: &Claim<'_>, answer: &[u8]) -> AuthError {
    let name = String::from_utf8_lossy(claim.user);
    let host = claim.address.map_or_else(|| "localhost".to_owned(), |host| host.to_string());
    let with = if answer.is_empty() { "NO" } else { "YES" };
    let text = format!("Access denied for user '{name}'@'{host}' (using password: {with})");
    AuthError::Refused(SqlError::from_server(1045, *b"28000", text))
}

fn password_hash(credential: &Credential) -> Result<PasswordHash, String> {
    let parse = |text: &String| {
        PasswordHash::parse(text.as_bytes()).map_err(|error| format!("hash: {error}"))
    };
    match credential {
        Credential::Password(secret) => Ok(PasswordHash::from_clear(secret.reveal().as_bytes())),
        Credential::Hashes { native, sha2 } => {
            let hashes = [native, sha2].into_iter().flatten().map(parse);
            let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
            let merged = hashes.into_iter().reduce(PasswordHash::merged);
            merged.ok_or_else(|| "hash: give native, sha2 or both".to_owned())
        }
    }
}

async fn send(
    framed: &mut Framed,
    sequence: &mut u8,
    build: impl FnOnce(&mut Vec<u8>),
) -> Result<(), AuthError> {
    build_packet(&mut framed.out, sequence, build);
    framed.flush().await.map_err(|_| AuthError::Lost)
}

async fn receive(framed: &mut Framed, sequence: &mut u8) -> Result<Vec<u8>, AuthError> {
    let packet = framed.read_packet(PACKET_MAX).await?;
    if packet.sequence != *sequence {
        return Err(AuthError::Lost);
    }
    *sequence = sequence.wrapping_add(1);
    let answer = framed.payload(packet).to_vec();
    framed.consume_packet(packet);
    Ok(answer)
}

impl From<ReadError> for AuthError {
    fn from(_: ReadError) -> Self {
        Self::Lost
    }
}
