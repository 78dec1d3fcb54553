//! What would keep a configuration that can be read from starting, without starting anything.

use super::{StartError, collation};
use crate::config::Config;
use crate::net;
use crate::session::accounts::Accounts;
use crate::wire::auth::caching_sha2::RsaKey;

/// Names any version: what is asked is whether the collation that the configuration names exists.
const SOME_VERSION: &str = "8.0.30";

/// Accounts, certificates and names that do not work, a line each.
pub fn problems(config: &Config) -> Vec<String> {
    let accounts = match RsaKey::generate() {
        Ok(rsa) => Accounts::new(&config.users, rsa).err().unwrap_or_default(),
        Err(error) => vec![error.to_string()],
    };
    let backend = &config.backend;
    let clients = net::server_config(&config.tls).err();
    let servers = net::client_config(backend.tls, backend.ca.as_deref()).err();
    let tls = [clients, servers].into_iter().flatten().map(|error| error.to_string());
    let collation = collation(&config.listen, SOME_VERSION).err().map(|StartError(text)| text);
    let all = accounts.into_iter().chain(tls).chain(collation);
    all.map(|text| if text.starts_with("error: ") { text } else { format!("error: {text}") })
        .collect()
}
