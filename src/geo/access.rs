//! Which statements may be answered by a replica, or be run a second time.
//!
//! Only a statement that surely changes nothing may: one that calls a function which is not known
//! to be pure, takes locks, assigns variables or asks what only its connection knows belongs to
//! the primary. What is not known means the primary.

use crate::sql::features::Features;
use crate::sql::statement_kind::StatementKind;

/// What a statement does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It only reads them, and every copy of the rows can answer.
    Read,
    /// It tells about a server or a table and not about rows: the primary answers, unless the
    /// client chose another server by name.
    Describe,
    /// It writes, locks, or may do so.
    Write,
}

/// Features after which a replica must not answer.
const PRIMARY_ONLY: Features = Features::LAST_INSERT_ID
    .with(Features::FOUND_ROWS)
    .with(Features::CALC_FOUND_ROWS)
    .with(Features::ROW_COUNT)
    .with(Features::NAMED_LOCK)
    .with(Features::ASSIGNS_VARIABLE)
    .with(Features::LOCKING_READ)
    .with(Features::INTO_FILE)
    .with(Features::SEQUENCE)
    .with(Features::TEMPORARY)
    .with(Features::UNKNOWN_FUNCTION)
    .with(Features::SERVER_SPECIFIC);

/// What a statement of this kind with these features does. WITH may begin a write, so it counts as
/// one; a caller that has parsed it knows better.
pub fn access(kind: StatementKind, features: Features) -> Access {
    use StatementKind as Kind;
    match kind {
        _ if features.intersects(PRIMARY_ONLY) => Access::Write,
        Kind::Select | Kind::ParenSelect | Kind::Values | Kind::Table => Access::Read,
        Kind::Show | Kind::Explain => Access::Describe,
        _ => Access::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mode::LexMode;
    use crate::sql::scan::Scan;

    #[test]
    fn only_pure_reads_may_leave_the_primary() {
        let cases = [
            ("SELECT * FROM t WHERE a = 1", Access::Read),
            ("(SELECT 1) UNION (SELECT 2)", Access::Read),
            ("SELECT @@server_id", Access::Read),
            ("SELECT COUNT(*), NOW(), @x FROM t", Access::Read),
            ("SELECT * FROM t FOR UPDATE", Access::Write),
            ("SELECT * FROM t LOCK IN SHARE MODE", Access::Write),
            ("SELECT my_function(a) FROM t", Access::Write),
            ("SELECT GET_LOCK('a', 1)", Access::Write),
            ("SELECT @x := a FROM t", Access::Write),
            ("SELECT a INTO @x FROM t", Access::Write),
            ("SELECT a INTO OUTFILE '/tmp/x' FROM t", Access::Write),
            ("SELECT LAST_INSERT_ID(a) FROM t", Access::Write),
            ("SELECT NEXTVAL(s)", Access::Write),
            ("SELECT SQL_CALC_FOUND_ROWS a FROM t", Access::Write),
            ("SELECT /*!50000 f() */ 1", Access::Write),
            ("WITH c AS (SELECT 1) SELECT * FROM c", Access::Write),
            ("UPDATE t SET a = 1", Access::Write),
            ("CALL p()", Access::Write),
            ("DO f()", Access::Write),
            ("SHOW TABLES", Access::Describe),
            ("EXPLAIN SELECT 1", Access::Describe),
            ("ANALYZE UPDATE t SET a = 1", Access::Write),
        ];
        for (sql, expected) in cases {
            let mut scan = Scan::new();
            scan.run(sql.as_bytes(), LexMode::default()).unwrap();
            assert_eq!(access(scan.kind(), scan.features()), expected, "{sql}");
        }
    }
}
