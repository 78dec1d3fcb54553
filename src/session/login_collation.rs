//! The character set that a client asks for by the number of a collation, at login and in
//! COM_CHANGE_USER.
//!
//! As servers do (`thd_init_client_charset` in MariaDB's `sql/sql_connect.cc`): a number that the
//! server does not know gives its own default, one of a charset that no client can have an error.

use std::sync::Arc;

use crate::backend::{Lease, Names, Product, Settings};
use crate::error::SqlError;
use crate::sql::mode::CharsetClass;
use crate::wire::capability::Capabilities;
use crate::wire::charset::{Charset, Collation};

use super::Services;
use super::connections::Connections;
use super::consistency;
use super::consistency::Judges;
use super::mirror::Mirror;
use super::state::State;
use crate::executor::client::Client;

/// Numbers below are the same collations in MySQL and MariaDB, but for [`OF_ONE_PRODUCT`].
const SHARED_BELOW: u16 = 248;
/// utf8mb3_tolower_ci is MySQL's, and Croatian of MySQL 5.6.1 has another name in MariaDB.
const OF_ONE_PRODUCT: [u16; 3] = [76, 213, 245];

/// The same after COM_RESET_CONNECTION and COM_CHANGE_USER, which put it back at MariaDB only.
pub(super) fn ignore_spaces_again(services: &Services, client: &mut Client, mirror: &mut Mirror) {
    if services.product() == Product::MySql {
        ignore_spaces(client, mirror);
    }
}

/// Begins as a client asks whose functions may have a space before their parenthesis.
pub(super) fn ignore_spaces(client: &Client, mirror: &mut Mirror) {
    if client.capabilities.contains(Capabilities::IGNORE_SPACE) {
        let mut settings = Settings::clone(&mirror.settings);
        settings.set("sql_mode", with_ignore_space(settings.get("sql_mode")));
        mirror.enter_settings(Arc::new(settings));
    }
}

/// The character set with which a session begins.
pub(super) async fn names_of_collation(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    id: u16,
) -> Result<Names, SqlError> {
    let known = Collation::by_id(id).filter(|_| id < SHARED_BELOW && !OF_ONE_PRODUCT.contains(&id));
    if let Some(collation) = known {
        let charset = collation.charset.name;
        if CharsetClass::of_charset(charset.as_bytes()).is_none() {
            let text =
                format!("Variable 'character_set_client' can't be set to the value of '{charset}'");
            return Err(SqlError::from_server(1231, *b"42000", text));
        }
        let collation = Some(collation.name.into());
        return Ok(Names { charset: charset.into(), collation });
    }
    if let Some(names) = connections.services.collations.find(id) {
        return Ok(names);
    }
    let topology = connections.services.topology.load_full();
    let Ok((placement, _)) = consistency::any_server(connections, state, &topology, Judges::Any)
    else {
        return Ok(Names::utf8mb4());
    };
    let Ok(index) = connections.attach(client, placement, b"", false).await else {
        return Ok(Names::utf8mb4());
    };
    let names = asked(&mut connections.attached[index].lease, id).await;
    connections.settle_quietly(index).await;
    Ok(match names {
        Some(Asked::Known(names)) => {
            connections.services.collations.insert(id, names.clone());
            names
        }
        Some(Asked::Default(names)) => names,
        None => Names::utf8mb4(),
    })
}

/// What a server says of a number.
enum Asked {
    /// The collation that it knows under it.
    Known(Names),
    /// What it takes because it knows none.
    Default(Names),
}

async fn asked(lease: &mut Lease, id: u16) -> Option<Asked> {
    let kind = lease.kind();
    // Newer MariaDB lists collations that fit several charsets once, without number.
    let table = match kind.product {
        Product::MariaDb if kind.version >= (10, 10, 0) => {
            "FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
        }
        _ => "COLLATION_NAME FROM information_schema.COLLATIONS",
    };
    let sql = format!("SELECT CHARACTER_SET_NAME, {table} WHERE ID = {id}");
    if let Some(names) = names(lease, &sql).await {
        return Some(Asked::Known(names));
    }
    let sql = "SELECT @@global.character_set_client, @@global.collation_connection";
    names(lease, sql).await.map(Asked::Default)
}

/// The character set and collation in the only row of an answer.
async fn names(lease: &mut Lease, sql: &str) -> Option<Names> {
    let row = lease.rows(sql.as_bytes()).await.ok()?.into_iter().next()?;
    let mut cells = row.into_iter().flatten().map(String::from_utf8);
    let (charset, collation) = (cells.next()?.ok()?, cells.next()?.ok()?);
    CharsetClass::of_charset(charset.as_bytes())?;
    let same = Charset::of_collation(collation.as_bytes())
        .is_some_and(|found| Some(found) == Charset::by_name(charset.as_bytes()));
    let collation = same.then(|| collation.as_str().into());
    Some(Names { charset: charset.as_str().into(), collation })
}

/// The literal of an sql_mode, or the server's, with IGNORE_SPACE.
fn with_ignore_space(literal: Option<&[u8]>) -> Vec<u8> {
    match literal.and_then(|literal| literal.strip_prefix(b"'")) {
        Some(rest) if !rest.starts_with(b"'") => [b"'IGNORE_SPACE,", rest].concat(),
        Some(_) => b"'IGNORE_SPACE'".to_vec(),
        None => b"CONCAT(@@global.sql_mode, ',IGNORE_SPACE')".to_vec(),
    }
}
