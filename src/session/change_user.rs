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

use super::Session;
use super::accounts::{AuthError, Claim, Occasion, Switching};
use super::answer::{Answer, End, Ran, Stop};
use super::run::{malformed, unknown_command};

/// So many refused changes of a session are let pass.
const REFUSED_MAX: u8 = 3;
/// How long a refused client waits for the answer.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

impl Session {
    /// COM_CHANGE_USER: log in anew on the same connection.
    pub(super) async fn change_user(&mut self, packet: Packet) -> Ran {
        if self.refused_changes >= REFUSED_MAX {
            return Err(unknown_command(code::CHANGE_USER));
        }
        let payload = self.client.framed.payload(packet).to_vec();
        let Ok(change) = ChangeUser::parse(&payload, self.client.capabilities) else {
            return Err(malformed("COM_CHANGE_USER"));
        };
        self.client.drop_command();
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
                Err(AuthError::Lost) => return Err(End::Quit.into()),
            };
        if let Err(TooMany { limit }) =
            self.registered.change_user(&account.name, account.connections_max)
        {
            return Err(Stop::fatal(catalog::USER_LIMIT.with(&[&account.name, &limit])));
        }
        self.login.user = Arc::clone(&account.name);
        let mut names = self.names.clone();
        let database = match (change.database, &account.keyspace) {
            (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
            (named, _) => named.to_vec(),
        };
        self.reset_session(Names::utf8mb4(), Vec::new()).await;
        if let Some(collation) = change.collation {
            names = self.names_of_collation(collation).await.map_err(Stop::fatal)?;
        }
        self.enter_names(names);
        self.login.database.clone_from(&database);
        self.registered.control().set_database(b"");
        if database.is_empty() { Ok(Answer::ok(0)) } else { self.enter_database(&database).await }
    }

    /// The answer to a change of user that failed.
    async fn refuse_change(&mut self, error: SqlError) -> Ran {
        if !self.services.server_version.contains("MariaDB") {
            return Err(Stop::fatal(error));
        }
        self.refused_changes += 1;
        tokio::time::sleep(REFUSED_WAIT).await;
        self.reset_keeping_database().await;
        Err(error.into())
    }
}
