//! COM_CHANGE_USER.
//!
//! Who fails to change user stays who it was at MariaDB, which lets it wait and try three times
//! (`dispatch_command` in `sql/sql_parse.cc`); MySQL shows it out. Geogate does as its servers do.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Names;
use crate::error::{SqlError, catalog};
use crate::executor::registry::TooMany;
use crate::net::Packet;
use crate::wire::command::code;
use crate::wire::handshake::ChangeUser;

use super::accounts::{AuthError, Claim, Occasion, Switching};
use super::{End, Session};

/// So many refused changes of a session are let pass.
const REFUSED_MAX: u8 = 3;
/// How long a refused client waits for the answer.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

impl Session {
    /// COM_CHANGE_USER: log in anew on the same connection.
    pub(super) async fn change_user(&mut self, packet: Packet) -> Result<(), End> {
        if self.refused_changes >= REFUSED_MAX {
            return self.unknown_command(packet, code::CHANGE_USER).await;
        }
        let payload = self.client.framed.payload(packet).to_vec();
        let Ok(change) = ChangeUser::parse(&payload, self.client.capabilities) else {
            return self.malformed(packet, "COM_CHANGE_USER").await;
        };
        self.client.framed.consume_packet(packet);
        let claim = Claim {
            user: change.user,
            plugin: change.auth_plugin,
            answer: change.auth_data,
            // A host without address is the Unix socket's.
            address: self.login.host.parse().ok(),
            switching: Switching::of(self.client.capabilities),
            occasion: Occasion::ChangeUser,
        };
        let services = Arc::clone(&self.services);
        let framed = &mut self.client.framed;
        let nonce = self.login.nonce;
        let account =
            match services.accounts.authenticate(framed, &mut self.sequence, nonce, claim).await {
                Ok(account) => account,
                Err(AuthError::Refused(error)) => return self.refuse_change(error).await,
                Err(AuthError::Lost) => return Err(End::Quit),
            };
        if let Err(TooMany { limit }) =
            self.registered.change_user(&account.name, account.connections_max)
        {
            let _ = self.reply_error(catalog::USER_LIMIT.with(&[&account.name, &limit])).await;
            return Err(End::Abort);
        }
        self.login.user = Arc::clone(&account.name);
        let mut names = self.names.clone();
        let database = match (change.database, &account.keyspace) {
            (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
            (named, _) => named.to_vec(),
        };
        self.reset_session(Names::utf8mb4(), Vec::new()).await;
        if let Some(collation) = change.collation {
            names = match self.names_of_collation(collation).await {
                Ok(names) => names,
                Err(error) => {
                    let _ = self.reply_error(error).await;
                    return Err(End::Abort);
                }
            };
        }
        self.enter_names(names);
        self.login.database.clone_from(&database);
        self.registered.control().set_database(b"");
        if database.is_empty() {
            self.reply_ok(0).await
        } else {
            self.enter_database(&database).await
        }
    }

    /// The answer to a change of user that failed.
    async fn refuse_change(&mut self, error: SqlError) -> Result<(), End> {
        if !self.services.server_version.contains("MariaDB") {
            let _ = self.reply_error(error).await;
            return Err(End::Abort);
        }
        self.refused_changes += 1;
        crate::clock::sleep(REFUSED_WAIT).await;
        self.reset_keeping_database().await;
        self.reply_error(error).await
    }
}
