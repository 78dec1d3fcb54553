//! Which statement a text is, from its first words.

use super::keyword::{SHORT_MAX, short};

/// The kind of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// No token at all.
    #[default]
    Empty,
    /// SELECT.
    Select,
    /// WITH: a query or a write.
    With,
    /// VALUES.
    Values,
    /// TABLE.
    Table,
    /// A parenthesised query.
    ParenSelect,
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// SET.
    Set,
    /// SHOW.
    Show,
    /// USE.
    Use,
    /// BEGIN.
    Begin,
    /// START TRANSACTION.
    StartTransaction,
    /// COMMIT.
    Commit,
    /// ROLLBACK, ROLLBACK TO.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE SAVEPOINT.
    Release,
    /// LOCK TABLES, LOCK INSTANCE.
    LockTables,
    /// UNLOCK TABLES, UNLOCK INSTANCE.
    UnlockTables,
    /// KILL.
    Kill,
    /// EXPLAIN, DESCRIBE, DESC.
    Explain,
    /// CALL.
    Call,
    /// DO.
    Do,
    /// PREPARE.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE PREPARE, DROP PREPARE.
    Deallocate,
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
    /// TRUNCATE.
    Truncate,
    /// RENAME.
    Rename,
    /// GRANT, REVOKE and other statements about the server itself.
    Admin,
    /// FLUSH, RESET, PURGE.
    Flush,
    /// ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM of tables.
    Maintain,
    /// LOAD DATA, LOAD XML.
    LoadData,
    /// XA.
    Xa,
    /// HANDLER.
    Handler,
    /// GET DIAGNOSTICS, and SHOW WARNINGS where it is known to be that.
    Diagnostics,
    /// VEXPLAIN.
    VExplain,
    /// BEGIN NOT ATOMIC, IF, LOOP, FOR, a label: MariaDB's statements outside of a stored program
    /// that hold others. Under sql_mode=ORACLE also DECLARE and BEGIN with anything behind it.
    Compound,
    /// SET STATEMENT, as long as the statement after its FOR is not known.
    SetStatement,
    /// Anything else.
    Other,
}

/// The words that come most often.
const SELECT: u64 = short(b"select");
const INSERT: u64 = short(b"insert");
const UPDATE: u64 = short(b"update");
const DELETE: u64 = short(b"delete");

impl StatementKind {
    /// The kind of a statement whose first word is `word`. `next` gives the token behind it, empty
    /// at the end of the statement, and is asked only if needed.
    #[inline]
    pub(crate) fn of_words<'a>(word: &[u8], next: impl FnOnce() -> &'a [u8]) -> Self {
        if word.len() > SHORT_MAX {
            return Self::of_any_words(word, next);
        }
        match short(word) {
            SELECT => Self::Select,
            INSERT => Self::Insert,
            UPDATE => Self::Update,
            DELETE => Self::Delete,
            _ => Self::of_any_words(word, next),
        }
    }

    fn of_any_words<'a>(word: &[u8], next: impl FnOnce() -> &'a [u8]) -> Self {
        let mut lower = [0u8; 12];
        if word.len() > lower.len() {
            return Self::Other;
        }
        for (to, from) in lower.iter_mut().zip(word) {
            *to = from.to_ascii_lowercase();
        }
        let word = &lower[..word.len()];
        match word {
            b"replace" => Self::Replace,
            b"with" => Self::With,
            b"show" => Self::Show,
            b"use" => Self::Use,
            b"commit" => Self::Commit,
            b"rollback" => Self::Rollback,
            b"savepoint" => Self::Savepoint,
            b"release" => Self::Release,
            b"values" => Self::Values,
            b"table" => Self::Table,
            b"explain" | b"describe" | b"desc" => Self::Explain,
            b"vexplain" => Self::VExplain,
            b"call" => Self::Call,
            b"do" => Self::Do,
            b"prepare" => Self::Prepare,
            b"execute" => Self::Execute,
            b"deallocate" => Self::Deallocate,
            b"create" => Self::Create,
            b"alter" => Self::Alter,
            b"truncate" => Self::Truncate,
            b"rename" => Self::Rename,
            b"start" | b"drop" | b"load" | b"analyze" | b"set" | b"begin" => {
                Self::of_two(word, next())
            }
            b"if" | b"case" | b"loop" | b"while" | b"repeat" | b"for" | b"declare" => {
                Self::Compound
            }
            _ if next() == b":" => Self::Compound,
            _ => Self::of_rare(word),
        }
    }

    /// Kinds that only the second word tells.
    fn of_two(first: &[u8], second: &[u8]) -> Self {
        let second_is = |words: &[&[u8]]| words.iter().any(|w| second.eq_ignore_ascii_case(w));
        match first {
            b"set" if second_is(&[b"statement"]) => Self::SetStatement,
            b"set" => Self::Set,
            b"begin" if second_is(&[b"", b";", b"work"]) => Self::Begin,
            b"begin" => Self::Compound,
            b"start" if second_is(&[b"transaction"]) => Self::StartTransaction,
            b"drop" if second_is(&[b"prepare"]) => Self::Deallocate,
            b"drop" => Self::Drop,
            b"load" if second_is(&[b"data", b"xml"]) => Self::LoadData,
            // MariaDB's ANALYZE statement is an EXPLAIN that runs.
            b"analyze" if second_is(&[b"table", b"local", b"no_write_to_binlog"]) => Self::Maintain,
            b"analyze" => Self::Other,
            _ => Self::Admin,
        }
    }

    fn of_rare(word: &[u8]) -> Self {
        match word {
            b"lock" => Self::LockTables,
            b"unlock" => Self::UnlockTables,
            b"kill" => Self::Kill,
            b"flush" | b"reset" | b"purge" => Self::Flush,
            b"optimize" | b"check" | b"repair" | b"checksum" | b"cache" => Self::Maintain,
            b"xa" => Self::Xa,
            b"handler" => Self::Handler,
            b"get" => Self::Diagnostics,
            b"grant" | b"revoke" | b"install" | b"uninstall" | b"stop" | b"change"
            | b"shutdown" | b"clone" | b"restart" | b"import" | b"binlog" => Self::Admin,
            _ => Self::Other,
        }
    }
}
