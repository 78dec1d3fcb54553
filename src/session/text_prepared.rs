//! PREPARE, EXECUTE and DEALLOCATE PREPARE as text: the names are the session's.
//!
//! No connection is kept for them. Over one server PREPARE goes there as it is, and EXECUTE too, as
//! long as nobody else has used that connection since: see `named_at_server`. A statement without
//! parameters that is about the session runs as if it had been written out. Else one server gets
//! EXECUTE IMMEDIATE, or a statement prepared for this one execution where it does not know that,
//! or would read the text otherwise than at PREPARE. Over several servers the parameters are
//! written into the text, which is then planned.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::backend::{Aligned, Fresh, Need, Owner, Product, ValueKind};
use crate::error::{Origin, SqlError, catalog};
use crate::geo;
use crate::sql::control::prepare::{Prepared as NamedStatement, Source as TextSource, Using};
use crate::sql::features::Features;
use crate::sql::lexer::Lexer;
use crate::sql::mode::{Backslash, CharsetClass, LexMode};
use crate::sql::statement_kind::StatementKind;
use crate::sql::token::TokenKind;

use super::answer::{Answer, Instead, Ran, Way, Went};
use super::connections::Connections;
use super::consistency::{self, Aim};
use super::diagnostics;
use super::exchange;
use super::forward;
use super::judged;
use super::last_values;
use super::long_texts::LONG;
use super::named::{Named, bytes, note_named, read_named, variable_name};
use super::named_at_server;
use super::prepared::{Prepared, is_about_transactions};
use super::remembered::{Found, ReadingNow};
use super::request::{Request, Source};
use super::shard_connections::ConnectionId;
use super::state::State;
use crate::executor::client::Client;

/// The name of a statement that lives for one execution on a connection.
const ONCE: &str = "`_geogate`";

/// PREPARE, EXECUTE, EXECUTE IMMEDIATE and DEALLOCATE PREPARE.
pub(super) async fn text_prepared(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    request: &Request,
    statement: NamedStatement,
) -> Went {
    let command = request.text(client).to_vec();
    client.drop_command();
    // What an EXECUTE leaves behind is told by the text that it runs.
    connections.pending = None;
    let is_known = named_by(&statement).is_some_and(|name| prepared.by_name.contains_key(&name));
    state.statement_counts.text(&statement, is_known);
    match statement {
        NamedStatement::Prepare { name, source } => {
            let name = name.to_lowercase();
            prepare_name(client, connections, state, prepared, command, name, source)
                .await
                .map(Way::Answered)
        }
        NamedStatement::Deallocate(name) => {
            let name = name.to_lowercase();
            deallocate(client, connections, state, prepared, command, &name)
                .await
                .map(Way::Answered)
        }
        NamedStatement::Execute { name, using } => {
            let name = name.to_lowercase();
            match prepared.by_name.get(&name).cloned() {
                Some(named) if named.changes_own_account() => {
                    Err(catalog::OWN_ACCOUNT.error().into())
                }
                Some(named) => {
                    execute_name(client, connections, state, command, &name, &named, &using).await
                }
                // A stored procedure may have prepared it.
                None if connections.mode.is_single() => {
                    as_it_came(client, connections, state, command).await
                }
                None => Err(unknown_handler(&name, "EXECUTE").into()),
            }
        }
        NamedStatement::Immediate { source, using } => {
            execute_immediate(client, connections, state, prepared, command, source, &using).await
        }
    }
}

/// The name that a statement is about.
fn named_by(statement: &NamedStatement) -> Option<String> {
    match statement {
        NamedStatement::Prepare { name, .. }
        | NamedStatement::Execute { name, .. }
        | NamedStatement::Deallocate(name) => Some(name.to_lowercase()),
        NamedStatement::Immediate { .. } => None,
    }
}

/// Passes the statement on to the only server.
async fn as_it_came(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: Vec<u8>,
) -> Went {
    let kind = StatementKind::Execute;
    let ran = named_at_server::run_at_server(client, connections, state, command, kind);
    ran.await.map(Way::Answered)
}

async fn deallocate(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    command: Vec<u8>,
    name: &str,
) -> Ran {
    let known = prepared.by_name.remove(name);
    if connections.mode.is_single() {
        let known = known.as_deref();
        let ran =
            named_at_server::deallocate_at_server(client, connections, state, command, name, known);
        return ran.await;
    }
    match known {
        Some(_) => Ok(Answer::ok(0)),
        None => Err(unknown_handler(name, "DEALLOCATE PREPARE").into()),
    }
}

async fn prepare_name(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &mut Prepared,
    command: Vec<u8>,
    name: String,
    source: TextSource,
) -> Ran {
    // As servers do: the old one is gone even if the new one fails.
    prepared.by_name.remove(&name);
    if connections.mode.is_single() {
        return named_at_server::prepare_at_server(
            client,
            connections,
            state,
            prepared,
            command,
            name,
            source,
        )
        .await;
    }
    let named = named(client, connections, state, prepared, &command, source).await?;
    prepared.has_long |= named.text.len() > LONG;
    prepared.by_name.insert(name, Arc::new(named));
    Ok(Answer::prepared())
}

/// EXECUTE of a name that the session has prepared.
async fn execute_name(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: Vec<u8>,
    name: &str,
    named: &Named,
    using: &Using,
) -> Went {
    let need = need_of_named(connections, &command, named, using).await;
    let mut at_server = named_at_server::name_at_server(connections, state, name, named);
    if at_server.is_none() && need.fresh != Fresh::WillDo {
        at_server = named_at_server::wait_for_name(client, connections, name, named).await;
        if at_server.is_none() && need.fresh == Fresh::WillNotDo {
            return Err(catalog::STATEMENT_LOST.error().into());
        }
    }
    match at_server {
        Some(index) => Ok(named_at_server::execute_at_server(
            client,
            connections,
            state,
            index,
            command,
            named,
            using,
        )
        .await?
        .into()),
        None => execute_named(client, connections, state, &command, named, using).await,
    }
}

async fn execute_immediate(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    command: Vec<u8>,
    source: TextSource,
    using: &Using,
) -> Went {
    let single = connections.mode.is_single();
    if connections.services.product() == Product::MySql {
        if single {
            return as_it_came(client, connections, state, command).await;
        }
        let what = "EXECUTE IMMEDIATE, which is MariaDB's";
        return Err(catalog::SYNTAX.with(&[&what]).into());
    }
    // Servers refuse subqueries there, each in its own words.
    if single
        && let TextSource::Expression(span) = &source
        && has_subquery(bytes(&command, *span), connections.mirror.lex_mode)
    {
        return as_it_came(client, connections, state, command).await;
    }
    match named(client, connections, state, prepared, &command, source).await {
        Ok(named) if named.changes_own_account() => Err(catalog::OWN_ACCOUNT.error().into()),
        Ok(named) => execute_named(client, connections, state, &command, &named, using).await,
        // The server has the same to say about it, in its own words.
        Err(error) if single && error.origin == Origin::Server => {
            as_it_came(client, connections, state, command).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Has a server judge a text, as PREPARE does.
async fn named(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    prepared: &Prepared,
    command: &[u8],
    source: TextSource,
) -> Result<Named, SqlError> {
    prepared.has_room()?;
    let text: Owner = match source {
        TextSource::Text(text) => text.into(),
        TextSource::Expression(span) => {
            value_of(client, connections, state, bytes(command, span)).await?.into()
        }
    };
    let mut named = read_named(connections, state, text, None)?;
    diagnostics::forget_warnings(connections);
    if connections.mode.is_several() {
        named.is_one_statement()?;
    }
    // Over several servers no one of them can judge what is about the session.
    if connections.mode.is_single() || !named.is_about_session() {
        let (kind, features) = (named.kind, named.features);
        let judged =
            judged::prepare_on_server(client, connections, state, &named.text, kind, features)
                .await?;
        named.params = usize::from(judged.params);
        named.remembered = Mutex::new(judged.remembered);
    }
    Ok(named)
}

/// What the execution of a statement with a name needs of a server.
async fn need_of_named(
    connections: &mut Connections,
    command: &[u8],
    named: &Named,
    using: &Using,
) -> Need {
    if !using.is_empty() || named.features.contains(Features::USER_VARIABLE) {
        connections.learn_all_user_variables().await;
    }
    let settings = &connections.mirror.settings;
    let kinds = using.iter().map(|span| {
        let parameter = bytes(command, *span);
        match variable_name(parameter) {
            Some(name) => ValueKind::of_literal(settings.get(&format!("@{name}"))),
            None => ValueKind::of_literal(Some(parameter)),
        }
    });
    let holds = named.under.holds(&connections.mirror.settings);
    let reading = if holds { ReadingNow::Same } else { ReadingNow::Other };
    let definitions = connections.services.definitions();
    let mut remembered = named.remembered.lock();
    remembered.bind_kinds(kinds.collect());
    remembered.need(Found { settings, definitions, reading })
}

/// The text of an expression in the character set of statements; NULL is the word, as on
/// servers.
pub(super) async fn value_of(
    client: &mut Client,
    connections: &mut Connections,
    state: &State,
    expression: &[u8],
) -> Result<Vec<u8>, SqlError> {
    // In digits, because an answer comes in the character set of results.
    let charset = connections.mirror.character_sets.client().as_bytes();
    let question = [b"SELECT HEX(CONVERT(", expression, b"\nUSING ", charset, b"))"].concat();
    let (index, value) =
        consistency::ask_any_for_cell(client, connections, state, &question).await?;
    connections.settle_quietly(index).await;
    Ok(value.map_or_else(|| b"NULL".to_vec(), |hex| unhex(&hex)))
}

async fn execute_named(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: &[u8],
    named: &Named,
    using: &Using,
) -> Went {
    if using.len() != named.params {
        let text = "Incorrect arguments to EXECUTE";
        return Err(SqlError::from_server(1210, *b"HY000", text).into());
    }
    let several = connections.mode.is_several();
    let database = named.under.database(&state.database, named.features);
    let of_session =
        named.is_about_session() || connections.asks_for_own(named.features, &database);
    if (several || of_session && !is_about_transactions(named.kind))
        && named.mode != connections.mirror.lex_mode
    {
        let what = if several {
            "EXECUTE of what was prepared under another sql_mode over several servers"
        } else {
            "EXECUTE of what asks for the session and was prepared under another sql_mode"
        };
        let advice = "PREPARE it again under this sql_mode";
        return Err(catalog::UNSUPPORTED.advising(&[&what], advice).into());
    }
    let instead = |text: &[u8]| {
        let place = named.under.place(&state.database, named.features);
        let place = (named.kind != StatementKind::Use).then_some(place);
        Way::Instead(Instead { source: Source::query(text), place })
    };
    if named.params == 0 && (several || of_session) {
        return Ok(instead(&named.text));
    }
    if several || connections.asks_for_own(named.features, &database) {
        connections.learn_all_user_variables().await;
        return Ok(instead(&connections.mirror.with_parameters(command, named, using)?));
    }
    execute_once(client, connections, state, command, named, using).await.map(Way::Answered)
}

/// One execution on the only server.
async fn execute_once(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    command: &[u8],
    named: &Named,
    using: &Using,
) -> Ran {
    let index = attach_for_named(client, connections, state, named).await?;
    let parameters: Vec<&[u8]> = using.iter().map(|span| bytes(command, *span)).collect();
    let using = match &parameters[..] {
        [] => Vec::new(),
        some => [b" USING ", &some.join(&b", "[..])[..]].concat(),
    };
    let lease = &mut connections.attached[index].lease;
    let mariadb = lease.kind().product == Product::MariaDb;
    let still_holds = named.under.holds(&connections.mirror.settings);
    let sql = if mariadb && still_holds {
        [b"EXECUTE IMMEDIATE ", &literal(&named.text, connections.mirror.lex_mode)[..], &using]
            .concat()
    } else {
        prepare_once(connections, state, index, named).await?;
        [b"EXECUTE ", ONCE.as_bytes(), &using].concat()
    };
    note_named(connections, state, named, &parameters);
    let home = connections.attached[index].home();
    let request = Source::query(&sql);
    let outcome = exchange::exchange_statement(client, connections, index, &request).await?;
    named.note_executed(home, &outcome);
    // A SET with parameters has not been read: whatever it set stays with this session.
    let kind = if named.kind == StatementKind::Set { StatementKind::Other } else { named.kind };
    forward::after_statement(connections, state, index, kind, named.features, &outcome).await;
    Ok(client.answered())
}

async fn attach_for_named(
    client: &mut Client,
    connections: &mut Connections,
    state: &mut State,
    named: &Named,
) -> Result<ConnectionId, SqlError> {
    let Some(shard) = connections.mode.only() else {
        return Err(catalog::NO_KEYSPACE.error());
    };
    if named.features.contains(Features::LAST_VALUE) {
        last_values::go_to_last_values(client, connections, state, &named.text).await?;
    }
    let hints = consistency::hints(connections, state, &named.text, named.features)?;
    let aim = Aim {
        shard,
        access: geo::access(named.kind, named.features),
        hints: hints.as_ref(),
        wants_insert_id: named.features.contains(Features::LAST_INSERT_ID),
        anywhere: false,
    };
    let database = named.under.database(&state.database, named.features);
    consistency::attach_placed(client, connections, state, &aim, &database).await
}

/// Prepares a text under a name on a connection, as it was read at PREPARE.
async fn prepare_once(
    connections: &mut Connections,
    state: &State,
    index: ConnectionId,
    named: &Named,
) -> Result<(), SqlError> {
    connections.attached[index].prepared_once = true;
    let text = literal(&named.text, named.mode);
    let sql = [b"PREPARE ", ONCE.as_bytes(), b" FROM ", &text].concat();
    let database = named.under.database(&state.database, named.features);
    let (then, now) =
        (named.under.settings(&connections.mirror.settings), &connections.mirror.settings);
    let aligned = |settings| Aligned { settings, database: &database, last_insert_id: None };
    let holds = named.under.holds(&connections.mirror.settings);
    let lease = &mut connections.attached[index].lease;
    let done = if holds {
        lease.execute(&sql).await.map(drop)
    } else {
        let done = match lease.align(&aligned(&then)).await {
            Ok(()) => lease.execute(&sql).await.map(drop),
            Err(failure) => Err(failure),
        };
        done.and(lease.align(&aligned(now)).await)
    };
    match done {
        Ok(()) => Ok(()),
        Err(failure) => Err(connections.fail(index, failure).await),
    }
}

/// The bytes that pairs of hexadecimal digits say.
fn unhex(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or_default() as u8;
    digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

fn has_subquery(expression: &[u8], mode: LexMode) -> bool {
    let mut lexer = Lexer::new(expression, mode);
    while let Ok(token) = lexer.token()
        && token.kind != TokenKind::End
    {
        if token.kind == TokenKind::Word && token.text(expression).eq_ignore_ascii_case(b"select") {
            return true;
        }
    }
    false
}

/// In the words of servers, because the statement could have been sent to one.
fn unknown_handler(name: &str, to: &str) -> SqlError {
    let text = format!("Unknown prepared statement handler ({name}) given to {to}");
    SqlError::from_server(1243, *b"HY000", text)
}

/// A text as a string literal.
fn literal(text: &[u8], mode: LexMode) -> Vec<u8> {
    if mode.charset != CharsetClass::AsciiSafe {
        // Half a character may look like a quote or a backslash.
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let hex = text.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        return b"x'".iter().copied().chain(hex).chain([b'\'']).collect();
    }
    let mut out = vec![b'\''];
    for &byte in text {
        if byte == b'\'' || byte == b'\\' && mode.backslash == Backslash::Escape {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'\'');
    out
}
