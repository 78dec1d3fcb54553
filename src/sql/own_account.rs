//! Statements that change the account that they run as: at the servers that is Geogate's own, so
//! that a client's new password would lock all of them out.

use super::cursor::Cursor;
use super::features::Features;
use super::mode::LexMode;
use super::scan::Scan;
use super::statement_kind::StatementKind as Kind;

/// Whether the statement that `scan` found in `text` changes the password, the roles or the
/// privileges of whoever runs it, or drops the account. Accounts that are named are not looked at,
/// nor what stored routines do.
pub fn changes_own_account(text: &[u8], mode: LexMode, scan: &Scan) -> bool {
    let names_itself = scan.features().contains(Features::USER);
    let looks = match scan.kind() {
        Kind::Set | Kind::SetStatement | Kind::Compound => true,
        Kind::Alter | Kind::Create | Kind::Drop | Kind::Rename | Kind::Admin => names_itself,
        _ => false,
    };
    if !looks {
        return false;
    }
    let Ok(mut cursor) = Cursor::new(text, mode, scan) else { return false };
    if scan.has_own_settings() {
        cursor.skip_own_settings();
    }
    if scan.kind() != Kind::Compound {
        return begins_change(&mut cursor, names_itself, &mut 0);
    }
    any_changes(&mut cursor, names_itself)
}

/// The same for a text of which it is not known where its statements end: whether any of them does.
/// What stands behind a mistake is not looked at: no server runs it.
pub fn may_change_own_account(text: &[u8], mode: LexMode) -> bool {
    any_changes(&mut Cursor::whole(text, mode), true)
}

/// Whether any of the statements from here on does.
fn any_changes(cursor: &mut Cursor<'_>, names_itself: bool) -> bool {
    let (mut begins, mut read) = (true, 0);
    while !cursor.at_end() {
        if begins && cursor.look(|cursor| begins_change(cursor, names_itself, &mut read)) {
            return true;
        }
        begins = cursor.at_any_word(BEFORE_STATEMENTS)
            || cursor.at_symbol(";")
            || cursor.at_symbol(":")
            || cursor.at_symbol(">>");
        cursor.advance();
    }
    false
}

/// The words of compound statements behind which others begin.
const BEFORE_STATEMENTS: &[&str] =
    &["BEGIN", "ATOMIC", "THEN", "ELSE", "DO", "LOOP", "REPEAT", "EXCEPTION"];

/// Whether a statement that begins here is one; it may end before the text does. `read` is the end
/// of what was looked at for an earlier SET.
fn begins_change(cursor: &mut Cursor<'_>, names_itself: bool, read: &mut usize) -> bool {
    if cursor.eat_word("SET") {
        return sets_own(cursor, names_itself, read);
    }
    if cursor.at_any_word(&["GRANT", "REVOKE"]) {
        return names_itself;
    }
    if !names_itself || !cursor.at_any_word(&["ALTER", "CREATE", "DROP", "RENAME"]) {
        return false;
    }
    cursor.advance();
    let _ = cursor.eat_words(&["OR", "REPLACE"]);
    cursor.at_word("USER")
}

/// SET PASSWORD and SET DEFAULT ROLE, unless they are for a named account.
fn sets_own(cursor: &mut Cursor<'_>, names_itself: bool, read: &mut usize) -> bool {
    let mut begins = true;
    while !cursor.at_end() && !cursor.at_symbol(";") {
        if begins && cursor.eat_word("PASSWORD") {
            let is_own = cursor.at_any_word(&["TO"]) || at_assignment(cursor);
            return is_own || cursor.at_word("FOR") && for_itself(cursor, at_assignment);
        }
        if begins && cursor.eat_words(&["DEFAULT", "ROLE"]) {
            while !cursor.at_end() && !cursor.at_symbol(";") && !cursor.at_any_word(&["FOR", "TO"])
            {
                cursor.advance();
            }
            let is_own = cursor.at_end() || cursor.at_symbol(";");
            return is_own || names_itself && for_itself(cursor, |_| false);
        }
        if cursor.mark() < *read {
            cursor.reset(*read);
        }
        begins = cursor.at_symbol(",");
        if !cursor.skip_parentheses() {
            cursor.advance();
        }
    }
    *read = cursor.mark();
    false
}

fn at_assignment(cursor: &Cursor<'_>) -> bool {
    cursor.at_symbol("=") || cursor.at_symbol(":=")
}

/// More tokens of accounts than this are not looked at, and count as those of oneself.
const ACCOUNTS_MAX: usize = 64;

/// Whether the accounts up to `ends` are those of whoever runs the statement.
fn for_itself(cursor: &mut Cursor<'_>, ends: impl Fn(&Cursor<'_>) -> bool) -> bool {
    let begin = cursor.mark();
    while !cursor.at_end() && !cursor.at_symbol(";") && !ends(cursor) {
        if cursor.mark() > begin + ACCOUNTS_MAX {
            return true;
        }
        let is_call = cursor.at_any_word(&["USER", "SESSION_USER", "SYSTEM_USER"]);
        if cursor.at_word("CURRENT_USER") || is_call && cursor.symbol_at(1, "(") {
            return true;
        }
        cursor.advance();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(sql: &str) -> bool {
        let mut scan = Scan::new();
        scan.run(sql.as_bytes(), LexMode::default()).expect("tokens");
        changes_own_account(sql.as_bytes(), LexMode::default(), &scan)
    }

    #[test]
    fn any_of_several_statements_counts() {
        let may = |sql: &str| may_change_own_account(sql.as_bytes(), LexMode::default());
        for own in [
            "SELECT 1; SET PASSWORD = PASSWORD('x')",
            "BEGIN SELECT 1; END; ALTER USER CURRENT_USER() IDENTIFIED BY 'x'",
            "SELECT ';'; -- ;\n SET DEFAULT ROLE NONE; SELECT 'open",
        ] {
            assert!(may(own), "{own}");
        }
        for other in ["SELECT 1; SELECT 'SET PASSWORD'", "SELECT 1; SET @password = 1", ""] {
            assert!(!may(other), "{other}");
        }
    }

    #[test]
    fn ones_own_account_is_told_from_others() {
        for own in [
            "SET PASSWORD = PASSWORD('x')",
            "set password = 'x' REPLACE 'y'",
            "SET PASSWORD TO RANDOM",
            "SET @a = 1, PASSWORD = PASSWORD('x')",
            "SET PASSWORD FOR CURRENT_USER = 'x'",
            "SET PASSWORD FOR current_user() = PASSWORD('x')",
            "SET DEFAULT ROLE NONE",
            "SET DEFAULT ROLE r FOR CURRENT_USER()",
            "ALTER USER USER() IDENTIFIED BY 'x'",
            "ALTER USER IF EXISTS CURRENT_USER IDENTIFIED BY 'x'",
            "ALTER USER a, current_user() ACCOUNT LOCK",
            "DROP USER CURRENT_USER()",
            "RENAME USER current_user TO a",
            "REVOKE ALL ON *.* FROM current_user()",
            "GRANT USAGE ON *.* TO CURRENT_USER IDENTIFIED BY 'x'",
            "CREATE OR REPLACE USER CURRENT_USER() IDENTIFIED BY 'x'",
            "SET STATEMENT max_statement_time = (5) FOR ALTER USER CURRENT_USER() IDENTIFIED BY 'x'",
            "SET STATEMENT max_statement_time = 5 FOR SET PASSWORD = PASSWORD('y')",
            "IF 1 THEN SET PASSWORD = PASSWORD('z'); END IF",
            "BEGIN NOT ATOMIC SET PASSWORD = PASSWORD('z'); END",
            "BEGIN NOT ATOMIC SELECT 1; DROP USER current_user(); END",
        ] {
            assert!(changes(own), "{own}");
        }
        for other in [
            "SET PASSWORD FOR a = PASSWORD('x')",
            "SET DEFAULT ROLE r TO a",
            "SET @password = 1, @@x = 'password'",
            "SET `password` = 1",
            "SET ROLE r",
            "SET @h = CONCAT('a', PASSWORD('b')), @i = PASSWORD('c')",
            "SET @a = IF(1, PASSWORD('x'), 2)",
            "SET PASSWORD FOR x = CONCAT(USER(), 'x')",
            "BEGIN NOT ATOMIC DECLARE password INT; SET @a = CURRENT_USER(); END",
            "BEGIN NOT ATOMIC UPDATE t SET password = CURRENT_USER(); END",
            "CREATE VIEW v AS SELECT CURRENT_USER() AS user",
            "ALTER USER a IDENTIFIED BY 'x'",
            "ALTER TABLE t ALTER a SET DEFAULT (CURRENT_USER())",
            "ALTER DEFINER = CURRENT_USER VIEW v AS SELECT 1",
            "DROP TABLE a",
            "GRANT ALL ON a.* TO b",
            "SELECT CURRENT_USER()",
        ] {
            assert!(!changes(other), "{other}");
        }
    }
}
