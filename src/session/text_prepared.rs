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

use crate::backend::{
    Aligned, Arrival, BoundTypes, Fresh, Need, Owner, Product, ServerKind, ValueKind, VariableKinds,
};
use crate::error::{Origin, SqlError, catalog};
use crate::geo;
use crate::sql::ast::Span;
use crate::sql::control::prepare::{Prepared, Source, Using};
use crate::sql::effects::Effect;
use crate::sql::features::Features;
use crate::sql::lexer::Lexer;
use crate::sql::mode::{Backslash, CharsetClass, LexMode};
use crate::sql::own_account::changes_own_account;
use crate::sql::scan::{HoleKind, Scan};
use crate::sql::statement_kind::StatementKind;
use crate::sql::token::TokenKind;
use crate::wire::command::code;
use crate::wire::scanner::{Expect, Outcome};

use super::answer::{Answer, Instead, Ran, Way, Went};
use super::diagnostics::Home;
use super::hold::Text;
use super::prepared::kind_of;
use super::prepared_under::PreparedUnder;
use super::query::Request;
use super::remembered::{Found, ReadingNow, Remembered};
use super::{Judges, Session};

/// A statement that was prepared under a name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) text: Owner,
    scan: Scan,
    pub(super) kind: StatementKind,
    pub(super) features: Features,
    pub(super) params: usize,
    /// Where a server has it under its name.
    pub(super) home: Option<Home>,
    /// How the text was split at PREPARE.
    mode: LexMode,
    under: PreparedUnder,
    /// What servers remember with it.
    remembered: Mutex<Remembered>,
}

/// The name of a statement that lives for one execution on a connection.
const ONCE: &str = "`_geogate`";

impl Session {
    /// PREPARE, EXECUTE, EXECUTE IMMEDIATE and DEALLOCATE PREPARE.
    pub(super) async fn text_prepared(&mut self, request: &Request, statement: Prepared) -> Went {
        let command = request.text(&self.client).to_vec();
        self.client.drop_command();
        // What an EXECUTE leaves behind is told by the text that it runs.
        self.pending = None;
        let is_known = match &statement {
            Prepared::Prepare { name, .. }
            | Prepared::Execute { name, .. }
            | Prepared::Deallocate(name) => {
                self.prepared.by_name.contains_key(&name.to_lowercase())
            }
            Prepared::Immediate { .. } => false,
        };
        self.statement_counts.text(&statement, is_known);
        match statement {
            Prepared::Prepare { name, source } => {
                let name = name.to_lowercase();
                self.prepare_name(command, name, source).await.map(Way::Answered)
            }
            Prepared::Deallocate(name) => {
                let name = name.to_lowercase();
                let known = self.prepared.by_name.remove(&name);
                if self.services.topology().single_server().is_some() {
                    let known = known.as_deref();
                    return Ok(self.deallocate_at_server(command, &name, known).await?.into());
                }
                match known {
                    Some(_) => Ok(Answer::ok(0).into()),
                    None => Err(unknown_handler(&name, "DEALLOCATE PREPARE").into()),
                }
            }
            Prepared::Execute { name, using } => {
                let name = name.to_lowercase();
                match self.prepared.by_name.get(&name).cloned() {
                    Some(named) if named.changes_own_account() => {
                        Err(catalog::OWN_ACCOUNT.error().into())
                    }
                    Some(named) => self.execute_name(command, &name, &named, &using).await,
                    // A stored procedure may have prepared it.
                    None if self.services.topology().single_server().is_some() => {
                        Ok(self.run_at_server(command, StatementKind::Execute).await?.into())
                    }
                    None => Err(unknown_handler(&name, "EXECUTE").into()),
                }
            }
            Prepared::Immediate { source, using } => {
                self.execute_immediate(command, source, &using).await
            }
        }
    }

    async fn prepare_name(&mut self, command: Vec<u8>, name: String, source: Source) -> Ran {
        // As servers do: the old one is gone even if the new one fails.
        self.prepared.by_name.remove(&name);
        if self.services.topology().single_server().is_some() {
            return self.prepare_at_server(command, name, source).await;
        }
        let named = self.named(&command, source).await?;
        self.prepared.by_name.insert(name, Arc::new(named));
        Ok(Answer::prepared())
    }

    /// EXECUTE of a name that the session has prepared.
    async fn execute_name(
        &mut self,
        command: Vec<u8>,
        name: &str,
        named: &Named,
        using: &Using,
    ) -> Went {
        let need = self.need_of_named(&command, named, using).await;
        let mut at_server = self.name_at_server(name, named);
        if at_server.is_none() && need.fresh != Fresh::WillDo {
            at_server = self.wait_for_name(name, named).await;
            if at_server.is_none() && need.fresh == Fresh::WillNotDo {
                return Err(catalog::STATEMENT_LOST.error().into());
            }
        }
        match at_server {
            Some(index) => Ok(self.execute_at_server(index, command, named, using).await?.into()),
            None => self.execute_named(&command, named, using).await,
        }
    }

    async fn execute_immediate(&mut self, command: Vec<u8>, source: Source, using: &Using) -> Went {
        let single = self.services.topology().single_server().is_some();
        if self.services.product() == Product::MySql {
            if single {
                return Ok(self.run_at_server(command, StatementKind::Execute).await?.into());
            }
            let what = "EXECUTE IMMEDIATE, which is MariaDB's";
            return Err(catalog::SYNTAX.with(&[&what]).into());
        }
        // Servers refuse subqueries there, each in its own words.
        if single
            && let Source::Expression(span) = &source
            && has_subquery(bytes(&command, *span), self.state.lex_mode)
        {
            return Ok(self.run_at_server(command, StatementKind::Execute).await?.into());
        }
        match self.named(&command, source).await {
            Ok(named) if named.changes_own_account() => Err(catalog::OWN_ACCOUNT.error().into()),
            Ok(named) => self.execute_named(&command, &named, using).await,
            // The server has the same to say about it, in its own words.
            Err(error) if single && error.origin == Origin::Server => {
                Ok(self.run_at_server(command, StatementKind::Execute).await?.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Has a server judge a text, as PREPARE does.
    async fn named(&mut self, command: &[u8], source: Source) -> Result<Named, SqlError> {
        self.prepared.has_room()?;
        let text: Owner = match source {
            Source::Text(text) => text.into(),
            Source::Expression(span) => self.value_of(bytes(command, span)).await?.into(),
        };
        let mut named = self.read_named(text, None);
        self.forget_warnings();
        // Over several servers no one of them can judge what is about the session.
        if self.services.topology().single_server().is_some() || !named.is_about_session() {
            let (kind, features) = (named.kind, named.features);
            let judged = self.prepare_on_server(&named.text, kind, features).await?;
            named.params = usize::from(judged.params);
            named.remembered = Mutex::new(judged.remembered);
        }
        Ok(named)
    }

    /// A text that is to be known by a name, on a server of this kind if it is known.
    pub(super) fn read_named(&self, text: Owner, server: Option<&ServerKind>) -> Named {
        let scan = self.scan_of(&text);
        let (kind, features) = kind_of(scan.as_ref());
        let scan = scan.unwrap_or_default();
        let under = PreparedUnder::of(&self.state.settings, &self.state);
        let mode = self.state.lex_mode;
        let params = scan.holes().iter().filter(|hole| hole.kind == HoleKind::Placeholder).count();
        let product = ServerKind::parse(self.services.server_version.as_bytes());
        let server = server.unwrap_or(&product);
        let types = BoundTypes::new(server, None);
        let variables = match server.product {
            Product::MySql => VariableKinds::of_text(&text, mode, &self.state.settings),
            Product::MariaDb => None,
        };
        let remembered =
            Mutex::new(Remembered::new(types, variables, self.services.definitions(), None));
        Named { text, scan, kind, features, params, home: None, mode, under, remembered }
    }

    /// What the execution of a statement with a name needs of a server.
    async fn need_of_named(&mut self, command: &[u8], named: &Named, using: &Using) -> Need {
        if !using.is_empty() || named.features.contains(Features::USER_VARIABLE) {
            self.learn_all_user_variables().await;
        }
        let settings = &self.state.settings;
        let kinds = using.iter().map(|span| {
            let parameter = bytes(command, *span);
            match variable_name(parameter) {
                Some(name) => ValueKind::of_literal(settings.get(&format!("@{name}"))),
                None => ValueKind::of_literal(Some(parameter)),
            }
        });
        let holds = named.under.holds(&self.state.settings);
        let reading = if holds { ReadingNow::Same } else { ReadingNow::Other };
        let definitions = self.services.definitions();
        let mut remembered = named.remembered.lock();
        remembered.bind_kinds(kinds.collect());
        remembered.need(Found { settings, definitions, reading })
    }

    /// The text of an expression in the character set of statements; NULL is the word, as on
    /// servers.
    pub(super) async fn value_of(&mut self, expression: &[u8]) -> Result<Vec<u8>, SqlError> {
        let topology = self.services.topology.load_full();
        let (placement, database) = self.any_server(&topology, Judges::Any)?;
        let index = self.attach(placement, &database, false).await?;
        // In digits, because an answer comes in the character set of results.
        let charset = self.state.character_sets.client().as_bytes();
        let question = [b"SELECT HEX(CONVERT(", expression, b"\nUSING ", charset, b"))"].concat();
        match self.attached[index].lease.rows(&question).await {
            Ok(rows) => {
                self.settle_quietly(index).await;
                let value = rows.into_iter().next().and_then(|row| row.into_iter().next());
                Ok(value.flatten().map_or_else(|| b"NULL".to_vec(), |hex| unhex(&hex)))
            }
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }

    async fn execute_named(&mut self, command: &[u8], named: &Named, using: &Using) -> Went {
        if using.len() != named.params {
            let text = "Incorrect arguments to EXECUTE";
            return Err(SqlError::from_server(1210, *b"HY000", text).into());
        }
        let several = self.services.topology().single_server().is_none();
        if several && named.mode != self.state.lex_mode {
            let what = "EXECUTE of what was prepared under another sql_mode over several servers";
            let advice = "PREPARE it again under this sql_mode";
            return Err(catalog::UNSUPPORTED.advising(&[&what], advice).into());
        }
        let target = named.under.target.clone();
        let of_session = named.is_about_session() || self.asks_for_own(named.features);
        if named.params == 0 && (several || of_session) {
            return Ok(Way::Instead(Instead { text: named.text.to_vec(), target }));
        }
        if several || self.asks_for_own(named.features) {
            self.learn_all_user_variables().await;
            let text = self.with_parameters(command, named, using)?;
            return Ok(Way::Instead(Instead { text, target }));
        }
        self.execute_once(command, named, using).await.map(Way::Answered)
    }

    /// The text with the parameters written where the placeholders are.
    fn with_parameters(
        &self,
        command: &[u8],
        named: &Named,
        using: &Using,
    ) -> Result<Vec<u8>, SqlError> {
        let mut scan = Scan::new();
        let scanned = scan.run(&named.text, self.state.lex_mode);
        scanned.map_err(|error| catalog::SYNTAX.with(&[&error]))?;
        let holes = scan.holes().iter().filter(|hole| hole.kind == HoleKind::Placeholder);
        let mut text = Vec::with_capacity(named.text.len() + 16 * using.len());
        let mut done = 0;
        for (hole, span) in holes.zip(using) {
            let literal = self.literal_of(bytes(command, *span))?;
            text.extend_from_slice(&named.text[done..hole.cut.start as usize]);
            text.extend_from_slice(&literal);
            done = hole.cut.end as usize;
        }
        text.extend_from_slice(&named.text[done..]);
        Ok(text)
    }

    /// A parameter as a literal: a user variable's value, or a literal as it was written.
    fn literal_of(&self, parameter: &[u8]) -> Result<Vec<u8>, SqlError> {
        let Some(name) = variable_name(parameter) else {
            let mut scan = Scan::new();
            let literal = scan.run(parameter, self.state.lex_mode).is_ok()
                && matches!(scan.holes(), [hole] if hole.cut.start == 0
                    && hole.cut.end as usize == parameter.len());
            let what = "EXECUTE .. USING an expression over several servers";
            return if literal {
                Ok(parameter.to_vec())
            } else {
                Err(catalog::UNSUPPORTED
                    .advising(&[&what], "SET a user variable to it and use that"))
            };
        };
        let known = self.state.settings.get(&format!("@{name}"));
        Ok(known.map_or_else(|| b"NULL".to_vec(), <[u8]>::to_vec))
    }

    /// One execution on the only server.
    async fn execute_once(&mut self, command: &[u8], named: &Named, using: &Using) -> Ran {
        let index = self.attach_for_named(named).await?;
        let parameters: Vec<&[u8]> = using.iter().map(|span| bytes(command, *span)).collect();
        let using = match &parameters[..] {
            [] => Vec::new(),
            some => [b" USING ", &some.join(&b", "[..])[..]].concat(),
        };
        let lease = &mut self.attached[index].lease;
        let mariadb = lease.kind().product == Product::MariaDb;
        let still_holds = named.under.holds(&self.state.settings);
        let sql = if mariadb && still_holds {
            [b"EXECUTE IMMEDIATE ", &literal(&named.text, self.state.lex_mode)[..], &using].concat()
        } else {
            self.prepare_once(index, named).await?;
            [b"EXECUTE ", ONCE.as_bytes(), &using].concat()
        };
        self.note_named(named, &parameters);
        let home = self.attached[index].home();
        let request = Request::Payload([&[code::QUERY], &sql[..]].concat());
        let outcome = self.exchange(index, &request, Expect::Query).await?;
        named.note_executed(home, &outcome);
        // A SET with parameters has not been read: whatever it set stays with this session.
        let kind = if named.kind == StatementKind::Set { StatementKind::Other } else { named.kind };
        self.after_statement(index, kind, named.features, &outcome).await;
        Ok(Answer::Sent)
    }

    /// Reads what an execution may leave behind.
    pub(super) fn note_named(&mut self, named: &Named, parameters: &[&[u8]]) {
        let text = Text::Named(&named.text, named.mode, &named.scan);
        self.note_pending(named.kind, named.features, text);
        if named.kind == StatementKind::Call
            && let Some(pending) = &mut self.pending
        {
            // OUT parameters are given to the user variables.
            let names = parameters.iter().filter_map(|parameter| variable_name(parameter));
            pending.effects.extend(names.map(Effect::UserVariable));
        }
    }

    async fn attach_for_named(&mut self, named: &Named) -> Result<usize, SqlError> {
        let Some(shard) = self.services.topology().single_server() else {
            return Err(catalog::NO_KEYSPACE.error());
        };
        if named.features.contains(Features::LAST_VALUE) {
            self.go_to_last_values(&named.text).await?;
        }
        let hints = self.hints(&named.text, named.features)?;
        let access = geo::access(named.kind, named.features);
        let wants_insert_id = named.features.contains(Features::LAST_INSERT_ID);
        let database = named.under.database(&self.state.database);
        self.attach_placed(shard, access, hints.as_ref(), &database, wants_insert_id).await
    }

    /// Prepares a text under a name on a connection, as it was read at PREPARE.
    async fn prepare_once(&mut self, index: usize, named: &Named) -> Result<(), SqlError> {
        self.attached[index].prepared_once = true;
        let text = literal(&named.text, named.mode);
        let sql = [b"PREPARE ", ONCE.as_bytes(), b" FROM ", &text].concat();
        let database = named.under.database(&self.state.database);
        let (then, now) = (named.under.settings(&self.state.settings), &self.state.settings);
        let aligned = |settings| Aligned { settings, database: &database, last_insert_id: None };
        let holds = named.under.holds(&self.state.settings);
        let lease = &mut self.attached[index].lease;
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
            Err(failure) => Err(self.fail(index, failure).await),
        }
    }
}

impl Named {
    /// Notes what servers remember of an execution.
    pub(super) fn note_executed(&self, home: Home, outcome: &Outcome) {
        let mut remembered = self.remembered.lock();
        if outcome.is_error() {
            remembered.note_failed(home, Arrival::Moved, None);
        } else {
            remembered.note_executed(home, None);
        }
    }

    /// Whether it changes the account that it runs as.
    fn changes_own_account(&self) -> bool {
        changes_own_account(&self.text, self.mode, &self.scan)
    }

    /// Whether the session answers it, or must know what it does.
    pub(super) fn is_about_session(&self) -> bool {
        use StatementKind as Kind;
        self.features.intersects(super::builtin::OF_SESSION)
            || matches!(
                self.kind,
                Kind::Begin
                    | Kind::StartTransaction
                    | Kind::Commit
                    | Kind::Rollback
                    | Kind::Savepoint
                    | Kind::Release
                    | Kind::Set
                    | Kind::Show
                    | Kind::Kill
                    | Kind::Explain
                    | Kind::VExplain
            )
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

/// The name of the user variable that a parameter is.
fn variable_name(parameter: &[u8]) -> Option<String> {
    let name = parameter.strip_prefix(b"@").filter(|name| !name.starts_with(b"@"))?;
    let name = String::from_utf8_lossy(name).to_lowercase();
    Some(name.trim_matches(['`', '\'', '"']).to_owned())
}

pub(super) fn bytes(command: &[u8], span: Span) -> &[u8] {
    command.get(span.start as usize..span.end as usize).unwrap_or_default()
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
