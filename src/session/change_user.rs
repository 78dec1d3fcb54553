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
use super::login_collation;
use super::run;
use super::run::{malformed, unknown_command};

/// So many refused changes of a session are let pass.
const REFUSED_MAX: u8 = 3;
/// How long a refused client waits for the answer.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

impl Session {
    /// COM_CHANGE_USER: log in anew on the same connection.
    pub(super) async fn change_user(&mut self, packet: Packet) -> Ran {
        if self.state.refused_changes >= REFUSED_MAX {
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
            address: self.state.login.host.parse().ok(),
            switching: Switching::of(self.client.capabilities),
            occasion: Occasion::ChangeUser,
        };
        let services = Arc::clone(&self.connections.services);
        let framed = &mut self.client.framed;
        let nonce = self.state.login.nonce;
        let accounts = services.accounts.load_full();
        let account =
            match accounts.authenticate(framed, &mut self.client.sequence, nonce, claim).await {
                Ok(account) => account,
                Err(AuthError::Refused(error)) => return self.refuse_change(error).await,
                Err(AuthError::Lost) => return Err(End::Quit.into()),
            };
        if let Err(TooMany { limit }) =
            self.registered.change_user(&account.name, account.connections_max)
        {
            return Err(Stop::fatal(catalog::USER_LIMIT.with(&[&account.name, &limit])));
        }
        self.state.login.user = Arc::clone(&account.name);
        let mut names = self.state.names.clone();
        let database = match (change.database, &account.keyspace) {
            (b"", Some(keyspace)) => keyspace.clone().into_bytes(),
            (named, _) => named.to_vec(),
        };
        self.reset_session(Names::utf8mb4(), Vec::new()).await;
        if let Some(collation) = change.collation {
            names = login_collation::names_of_collation(
                &mut self.client,
                &mut self.connections,
                &self.state,
                collation,
            )
            .await
            .map_err(Stop::fatal)?;
        }
        run::enter_names(
            &self.connections.services,
            &mut self.client,
            &mut self.connections.mirror,
            &mut self.state,
            names,
        );
        self.state.login.database.clone_from(&database);
        self.connections.control.set_database(b"");
        if database.is_empty() {
            Ok(Answer::ok(0))
        } else {
            run::enter_database(&mut self.client, &mut self.connections, &mut self.state, &database)
                .await
        }
    }

    /// The answer to a change of user that failed.
    async fn refuse_change(&mut self, error: SqlError) -> Ran {
        if !self.connections.services.server_version.contains("MariaDB") {
            return Err(Stop::fatal(error));
        }
        self.state.refused_changes += 1;
        crate::clock::sleep(REFUSED_WAIT).await;
        self.reset_keeping_database().await;
        Err(error.into())
    }
}
