//! SET: which settings are mirrored and replayed, which pin, which are refused.
//!
//! The server that the session uses at the moment judges the statement: only what it accepted is
//! remembered. A literal is remembered as it was written; the value of an expression is asked back
//! from the server and remembered as a literal. What is neither a user variable nor on the list of
//! [`REPLAYED`] variables pins the connection.

use std::sync::Arc;

use crate::backend::{Names, Settings};
use crate::error::{SqlError, catalog};
use crate::geo::Placement;
use crate::sql::control::set::{Access, Isolation, Scope, Set, SetItem, SetValue};
use crate::sql::features::Features;
use crate::sql::mode::{Backslash, CharsetClass, DoubleQuote};
use crate::sql::statement_kind::StatementKind;
use crate::wire::scanner::Expect;

use super::canary_statement::GenerationSetting;
use super::query::Request;
use super::transaction::Transaction;
use super::{End, Judges, Session};

/// What a SET does to the session if the server accepts it.
#[derive(Debug)]
enum Change {
    Names(Names),
    Set(String, Vec<u8>),
    Unset(String),
    /// The value must be asked back.
    AskBack(String),
    /// Nothing that this session has to remember: SET GLOBAL.
    Elsewhere,
    /// State at the server that cannot be mirrored.
    Pin,
}

impl Session {
    /// SET.
    pub(super) async fn set(&mut self, request: Request, set: &Set) -> Result<(), End> {
        let text = self.text(&request).to_vec();
        if let [SetItem::Transaction { scope: Scope::Unscoped, isolation, access }] = &set.items[..]
        {
            let result = self.set_next_transaction(*isolation, *access);
            self.consume(&request);
            return self.reply_result(result).await;
        }
        if let Some(setting) = GenerationSetting::of(set) {
            let result = self.set_generation(setting);
            self.consume(&request);
            return self.reply_result(result).await;
        }
        if let Some(result) = self.set_own_variables(set) {
            self.consume(&request);
            return self.reply_result(result).await;
        }
        let mut changes = Vec::new();
        for item in &set.items {
            match changes_of(item, &text) {
                Ok(found) => changes.extend(found),
                Err(error) => return self.refuse(&request, error).await,
            }
        }
        let topology = self.services.topology().clone();
        // A session without its primary can still read elsewhere, so it must be able to SET.
        let stays = |change: &Change| matches!(change, Change::Pin | Change::Elsewhere);
        let judges = if changes.iter().any(stays) { Judges::Primary } else { Judges::Any };
        let (placement, database) = match self.any_server(&topology, judges) {
            Ok(found) => found,
            Err(error) => return self.refuse(&request, error).await,
        };
        if changes.iter().any(|c| matches!(c, Change::Pin)) && topology.single_server().is_none() {
            self.consume(&request);
            let error = self.cannot_mirror(placement, &database, &text).await;
            return self.reply_error(error).await;
        }
        if self.sets_autocommit_on(&changes)
            && let Err(error) = self.commit_all().await
        {
            return self.refuse(&request, error).await;
        }
        let index = match self.attach(placement, &database, true).await {
            Ok(index) => index,
            Err(error) => return self.refuse(&request, error).await,
        };
        let Some(outcome) = self.exchange(index, request, Expect::Query).await? else {
            return Ok(());
        };
        if !outcome.is_error() {
            self.apply(index, changes).await;
        }
        self.after_statement(index, StatementKind::Set, Features::NONE, &outcome).await;
        Ok(())
    }

    /// Why a SET that cannot be mirrored is refused: a server's own error if it has one, so that a
    /// wrong name is called wrong; else that several servers cannot be kept equal.
    async fn cannot_mirror(
        &mut self,
        placement: Placement,
        database: &[u8],
        text: &[u8],
    ) -> SqlError {
        let index = match self.attach(placement, database, false).await {
            Ok(index) => index,
            Err(error) => return error,
        };
        let in_transaction = self.in_transaction();
        let lease = &mut self.attached[index].lease;
        match lease.execute(text).await {
            Ok(_) if in_transaction => {
                // The server has taken what the session must not have: the way back is a reset.
                self.lose(index, &"a SET that cannot be mirrored")
            }
            Ok(_) => {
                lease.taint();
                self.settle_quietly(index).await;
                let what = "SET of a variable that cannot be kept equal on several servers";
                catalog::UNSUPPORTED.with(&[&what])
            }
            Err(failure) => self.fail(index, failure).await,
        }
    }

    /// SET TRANSACTION without SESSION or GLOBAL: for the next transaction only.
    fn set_next_transaction(
        &mut self,
        isolation: Option<Isolation>,
        access: Option<Access>,
    ) -> Result<(), SqlError> {
        if self.in_transaction() {
            return Err(SqlError::from_server(
                1568,
                *b"25001",
                "Transaction characteristics can't be changed while a transaction is in progress",
            ));
        }
        let mut next = Vec::new();
        if let Some(isolation) = isolation {
            let level = isolation_words(isolation);
            next.push(format!("SET TRANSACTION ISOLATION LEVEL {level}").into_bytes());
        }
        match access {
            Some(Access::ReadOnly) => next.push(b"SET TRANSACTION READ ONLY".to_vec()),
            Some(Access::ReadWrite) => next.push(b"SET TRANSACTION READ WRITE".to_vec()),
            None => {}
        }
        if let Transaction::None { next: pending } = &mut self.transaction {
            pending.get_or_insert_default().extend(next);
        }
        Ok(())
    }

    /// SET autocommit = 1 ends an open transaction.
    fn sets_autocommit_on(&self, changes: &[Change]) -> bool {
        !self.state.autocommit
            && changes.iter().any(|change| {
                matches!(change, Change::Set(name, value) if name == "autocommit" && is_on(value))
            })
    }

    /// Remembers what a server accepted.
    async fn apply(&mut self, index: usize, changes: Vec<Change>) {
        let mut settings = Settings::clone(&self.state.settings);
        for change in changes {
            match change {
                Change::Names(names) => settings.set_names(names),
                Change::Set(name, literal) => settings.set(&name, literal),
                Change::Unset(name) => settings.unset(&name),
                Change::Elsewhere => {}
                Change::Pin => self.pin(index),
                Change::AskBack(name) => match self.ask_back(index, &name).await {
                    Some(literal) => settings.set(&name, literal),
                    None => self.pin(index),
                },
            }
        }
        self.state.autocommit = settings.get("autocommit").is_none_or(is_on);
        let mode = settings.get("sql_mode").map(<[u8]>::to_ascii_uppercase).unwrap_or_default();
        let has = |flag: &[u8]| mode.windows(flag.len()).any(|window| window == flag);
        self.state.lex_mode.double_quote =
            if has(b"ANSI") { DoubleQuote::Identifier } else { DoubleQuote::String };
        self.state.lex_mode.backslash =
            if has(b"NO_BACKSLASH_ESCAPES") { Backslash::Literal } else { Backslash::Escape };
        let charset = match settings.get("character_set_client") {
            Some(literal) => String::from_utf8_lossy(literal).trim_matches('\'').to_owned(),
            None => settings.names().charset.to_string(),
        };
        self.state.lex_mode.charset =
            CharsetClass::of_charset(charset.as_bytes()).unwrap_or_default();
        let settings = Arc::new(settings);
        self.attached[index].lease.note_settings(&settings);
        self.state.settings = settings;
    }

    /// The literal of a session variable's present value at a server.
    async fn ask_back(&mut self, index: usize, name: &str) -> Option<Vec<u8>> {
        let lease = &mut self.attached[index].lease;
        let name = lease.kind().variable_name(name);
        let rows = lease.rows(format!("SELECT @@session.{name}").as_bytes()).await.ok()?;
        match rows.into_iter().next()?.into_iter().next()? {
            None => Some(b"NULL".to_vec()),
            Some(value) if value.contains(&b'\\') => None,
            Some(value) => {
                let number = !value.is_empty()
                    && value.iter().all(|b| b.is_ascii_digit() || *b == b'.' || *b == b'-');
                if number {
                    return Some(value);
                }
                let text = String::from_utf8(value).ok()?;
                Some(format!("'{}'", text.replace('\'', "''")).into_bytes())
            }
        }
    }
}

/// What one assignment changes.
fn changes_of(item: &SetItem, text: &[u8]) -> Result<Vec<Change>, SqlError> {
    let bytes = |span: &crate::sql::ast::Span| {
        text.get(span.start as usize..span.end as usize).unwrap_or_default().to_vec()
    };
    Ok(vec![match item {
        SetItem::Names { charset: Some(charset), collation } => {
            check_charset(charset)?;
            let collation = collation.as_deref().map(Into::into);
            Change::Names(Names { charset: charset.as_str().into(), collation })
        }
        SetItem::CharacterSet(Some(charset)) => {
            check_charset(charset)?;
            return Ok(charset_variables());
        }
        SetItem::Names { charset: None, .. } | SetItem::CharacterSet(None) => {
            return Ok(charset_variables());
        }
        SetItem::User { name, value, value_span, .. } => match value {
            SetValue::Literal(_) if plain_literal(&bytes(value_span)) => {
                Change::Set(format!("@{name}"), bytes(value_span))
            }
            SetValue::Null => Change::Unset(format!("@{name}")),
            _ => Change::Pin,
        },
        SetItem::Transaction { scope: Scope::Session, isolation, access } => {
            let mut changes = Vec::new();
            if let Some(isolation) = isolation {
                let value = isolation_words(*isolation).replace(' ', "-");
                changes.push(Change::Set(
                    "transaction_isolation".to_owned(),
                    format!("'{value}'").into_bytes(),
                ));
            }
            if let Some(access) = access {
                let on: &[u8] = if *access == Access::ReadOnly { b"1" } else { b"0" };
                changes.push(Change::Set("transaction_read_only".to_owned(), on.to_vec()));
            }
            return Ok(changes);
        }
        SetItem::Transaction { .. } => Change::Elsewhere,
        SetItem::System { scope, name, value, value_span, .. } => {
            return system_change(*scope, name, value, bytes(value_span));
        }
        SetItem::CanaryPercent(_) | SetItem::Other(_) => Change::Pin,
    }])
}

fn system_change(
    scope: Scope,
    name: &str,
    value: &SetValue,
    literal: Vec<u8>,
) -> Result<Vec<Change>, SqlError> {
    let one_shot = matches!(
        name,
        "transaction_isolation" | "tx_isolation" | "transaction_read_only" | "tx_read_only"
    );
    match scope {
        Scope::Global | Scope::Persist | Scope::PersistOnly => return Ok(vec![Change::Elsewhere]),
        // Without a scope these are for the next transaction only.
        Scope::Unscoped if one_shot => return Ok(vec![Change::Pin]),
        Scope::Session | Scope::Unscoped => {}
    }
    let name = match name {
        "tx_isolation" => "transaction_isolation",
        "tx_read_only" => "transaction_read_only",
        other => other,
    };
    if !REPLAYED.contains(&name) {
        return Ok(vec![Change::Pin]);
    }
    if name == "character_set_client" {
        let charset = String::from_utf8_lossy(&literal).trim_matches(['\'', '"']).to_lowercase();
        if !matches!(value, SetValue::Expression | SetValue::Default) {
            check_charset(&charset)?;
        }
    }
    // The mode decides how later text is read, so what the server made of it is asked back.
    let ask =
        name == "sql_mode" || name.starts_with("character_set_") || name.contains("collation");
    Ok(vec![match value {
        SetValue::Default => Change::Unset(name.to_owned()),
        SetValue::Expression => Change::AskBack(name.to_owned()),
        _ if ask || !plain_literal(&literal) => Change::AskBack(name.to_owned()),
        SetValue::Literal(_) | SetValue::Word(_) | SetValue::Null => {
            Change::Set(name.to_owned(), literal)
        }
    }])
}

/// Whether a literal means the same under every sql_mode and character set.
fn plain_literal(literal: &[u8]) -> bool {
    let printable = |b: &u8| (0x20..0x7f).contains(b) && *b != b'\\';
    literal.first() != Some(&b'"') && literal.iter().all(printable)
}

/// SET CHARACTER SET takes the collation from the database, so all three are asked back.
fn charset_variables() -> Vec<Change> {
    ["character_set_client", "character_set_results", "collation_connection"]
        .map(|name| Change::AskBack(name.to_owned()))
        .into()
}

fn check_charset(charset: &str) -> Result<(), SqlError> {
    match CharsetClass::of_charset(charset.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(catalog::UNSUPPORTED_SETTING.with(&[&"character_set_client", &charset])),
    }
}

fn isolation_words(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "READ UNCOMMITTED",
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE READ",
        Isolation::Serializable => "SERIALIZABLE",
    }
}

/// Whether a literal switches a variable on.
fn is_on(literal: &[u8]) -> bool {
    let text = literal.trim_ascii();
    [b"1".as_slice(), b"on", b"true", b"'on'", b"'1'"]
        .iter()
        .any(|on| text.eq_ignore_ascii_case(on))
}

/// Session variables whose value alone decides what they do, so that setting the same value on
/// another connection gives the same session.
const REPLAYED: &[&str] = &[
    "autocommit",
    "big_tables",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "completion_type",
    "cte_max_recursion_depth",
    "default_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "eq_range_index_dive_limit",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "information_schema_stats_expiry",
    "innodb_lock_wait_timeout",
    "interactive_timeout",
    "join_buffer_size",
    "lc_messages",
    "lc_time_names",
    "lock_wait_timeout",
    "low_priority_updates",
    "max_execution_time",
    "max_heap_table_size",
    "max_join_size",
    "max_length_for_sort_data",
    "max_recursive_iterations",
    "max_seeks_for_key",
    "max_sort_length",
    "max_sp_recursion_depth",
    "max_statement_time",
    "min_examined_row_limit",
    "net_read_timeout",
    "net_retry_count",
    "net_write_timeout",
    "old_mode",
    "optimizer_prune_level",
    "optimizer_search_depth",
    "optimizer_switch",
    "preload_buffer_size",
    "query_alloc_block_size",
    "query_prealloc_size",
    "range_alloc_block_size",
    "range_optimizer_max_mem_size",
    "read_buffer_size",
    "read_rnd_buffer_size",
    "session_track_gtids",
    "session_track_schema",
    "session_track_system_variables",
    "session_track_transaction_info",
    "sort_buffer_size",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_buffer_result",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "storage_engine",
    "time_zone",
    "timestamp",
    "tmp_table_size",
    "transaction_isolation",
    "transaction_read_only",
    "unique_checks",
    "updatable_views_with_limit",
    "wait_timeout",
    "windowing_use_high_precision",
];
