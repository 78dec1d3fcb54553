//! The precedences of MySQL's operators (manual, "Operator Precedence").

use super::{read, tree};
use crate::sql::ast::{SelectItem, SetExpr, Statement};

fn expr(text: &str) -> String {
    let sql = format!("SELECT {text}");
    let Ok(Statement::Query(query)) = read(&sql) else { panic!("{text}: {:?}", read(&sql)) };
    let SetExpr::Select(select) = &query.body else { panic!("{text}") };
    let [SelectItem::Expr { expr, alias: None, .. }] = &select.items[..] else { panic!("{text}") };
    tree::expr(expr)
}

#[test]
fn operators_bind_as_in_mysql() {
    let cases = [
        ("a OR b AND c", "(or a (and b c))"),
        ("a || b AND c", "(or a (and b c))"),
        ("a AND b OR c", "(or (and a b) c)"),
        ("a OR b XOR c", "(or a other[b, c])"),
        ("a XOR b AND c", "other[a, (and b c)]"),
        ("a = 1 XOR b = 2", "other[(= a #0), (= b #1)]"),
        ("a = 1 || b = 2", "(or (= a #0) (= b #1))"),
        ("a = 1 && b = 2", "(and (= a #0) (= b #1))"),
        ("NOT a = b", "(not (= a b))"),
        ("NOT a AND b", "(and (not a) b)"),
        ("NOT a BETWEEN 1 AND 2", "(not (between a #0 #1))"),
        ("NOT a IS NULL", "(not (null a))"),
        ("! a = b", "(= (not a) b)"),
        ("!a + b", "other[(not a), b]"),
        ("BINARY a = b", "(= other[a] b)"),
        ("BINARY a LIKE b", "(like other[a] b)"),
        ("a LIKE b = c", "(= (like a b) c)"),
        ("a RLIKE b = c", "(= other[a, b] c)"),
        ("a LIKE b OR c", "(or (like a b) c)"),
        ("a NOT LIKE 'x' ESCAPE '!' AND b", "(and (not-like-escape a #0) b)"),
        ("a BETWEEN 1 AND 2 AND b", "(and (between a #0 #1) b)"),
        ("a BETWEEN b AND c = d", "(= (between a b c) d)"),
        ("a NOT BETWEEN 1 + 2 AND 3", "(not-between a other[#0, #1] #2)"),
        ("a IN (1, 2) = b", "(= (in a [#0, #1]) b)"),
        ("a = b IN (1)", "(= a (in b [#0]))"),
        ("a = b = c", "(= (= a b) c)"),
        ("a = b IS NULL", "(null (= a b))"),
        ("a IS NULL = b", "(= (null a) b)"),
        ("a <=> b AND c <> d", "(and (<=> a b) (<> c d))"),
        ("a = b + 1", "(= a other[b, #0])"),
        ("a | b = c", "(= other[a, b] c)"),
        ("a MOD 2 = b DIV 3", "(= other[a, #0] other[b, #1])"),
        ("-a = b", "(= (- a) b)"),
        ("- a COLLATE c", "(- (collate a c))"),
        ("a = b COLLATE c", "(= a (collate b c))"),
        ("a -1", "other[a, #0]"),
        ("a = -1", "(= a (- #0))"),
        ("a COLLATE utf8mb4_bin = 'x'", "(= (collate a utf8mb4_bin) #0)"),
        ("a IS NOT TRUE OR b", "(or other[a] b)"),
        ("a > ALL (SELECT 1)", "(quantified a (select [#0]))"),
        ("@a := b OR c", "(assign (or b c))"),
        ("@a := 1 + 2", "(assign other[#0, #1])"),
        ("a + INTERVAL 1 DAY = b", "(= other[a, other[#0]] b)"),
        ("INTERVAL 1 DAY + a", "other[other[#0], a]"),
        ("INTERVAL(1, 2) + 3", "other[INTERVAL(#0, #1), #2]"),
        ("a->'$.b' = 1", "(= other[a, #0] #1)"),
        ("a SOUNDS LIKE b = c", "(= other[a, b] c)"),
        ("1 MEMBER OF (a) AND b", "(and other[#0, a] b)"),
        ("NOT EXISTS (SELECT 1)", "(not-exists (select [#0]))"),
        ("(a, b) = (1, 2)", "(= row[a, b] row[#0, #1])"),
        ("(a, b) IN ((1, 2), (3, 4))", "(in row[a, b] [row[#0, #1], row[#2, #3]])"),
        ("CASE a WHEN 1 THEN 2 END = b", "(= other[a, #0, #1] b)"),
        ("'a' 'b' = c", "(= other[#0, #1] c)"),
        ("a OR b OR c OR d", "(or (or a b) (or c d))"),
        ("(SELECT 1) + 2", "other[(scalar (select [#0])), #1]"),
        ("((SELECT 1))", "(scalar (select [#0]))"),
        ("((SELECT 1) + 2)", "(other[(scalar (select [#0])), #1])"),
    ];
    for (text, expected) in cases {
        assert_eq!(expr(text), expected, "{text}");
    }
}
