//! Statements that change the account that they run as: at the servers that is Geogate's own, so
//! that a client's new password would lock all of them out.

use super::cursor::Cursor;
use super::features::Features;
use super::mode::LexMode;
use super::scan::Scan;
use super::statement_kind::StatementKind as Kind;

/// Whether the statement that `scan` found in `text` changes the password, the roles or the
/// privileges of whoever runs it, or drops the account. Accounts that are named are not looked at.
pub fn changes_own_account(text: &[u8], mode: LexMode, scan: &Scan) -> bool {
    let names_itself = scan.features().contains(Features::USER);
    let looks = match scan.kind() {
        Kind::Set => true,
        Kind::Alter | Kind::Drop | Kind::Rename | Kind::Admin => names_itself,
        _ => false,
    };
    if !looks {
        return false;
    }
    let Ok(mut cursor) = Cursor::new(text, mode, scan) else { return false };
    if scan.kind() == Kind::Set {
        return sets_own(&mut cursor, names_itself);
    }
    if cursor.at_any_word(&["GRANT", "REVOKE"]) {
        return true;
    }
    cursor.advance();
    cursor.at_word("USER")
}

/// SET PASSWORD and SET DEFAULT ROLE, unless they are for a named account.
fn sets_own(cursor: &mut Cursor<'_>, names_itself: bool) -> bool {
    let mut begins = true;
    cursor.advance();
    while !cursor.at_end() {
        if begins && (cursor.at_word("PASSWORD") || cursor.at_words(&["DEFAULT", "ROLE"])) {
            let is_password = cursor.at_word("PASSWORD");
            cursor.advance();
            let mut named = is_password && cursor.at_word("FOR");
            while !is_password && !cursor.at_end() {
                named |= cursor.at_any_word(&["FOR", "TO"]);
                cursor.advance();
            }
            return !named || names_itself;
        }
        begins = cursor.at_symbol(",");
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
        ] {
            assert!(changes(own), "{own}");
        }
        for other in [
            "SET PASSWORD FOR a = PASSWORD('x')",
            "SET DEFAULT ROLE r TO a",
            "SET @password = 1, @@x = 'password'",
            "SET `password` = 1",
            "SET ROLE r",
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
