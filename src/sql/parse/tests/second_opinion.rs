//! `sqlparser` reads random expressions too. Where its precedences are MySQL's (it reads XOR,
//! `||`, BINARY, LIKE and `!` otherwise), both must give the same structure.

use proptest::prelude::*;
use sqlparser::ast::{BinaryOperator, Expr as Theirs, UnaryOperator};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser as TheirParser;

use super::read;
use crate::sql::ast::{Comparison, Expr, ExprKind, SelectItem, SetExpr, Statement};

/// Our structure, every operator in brackets; columns only as leaves.
fn ours(expr: &Expr) -> String {
    let show = |expr: &Expr| ours(expr);
    match &expr.kind {
        ExprKind::Column { name, .. } => name.text.clone(),
        ExprKind::Nested(inner) => show(inner),
        ExprKind::Not(inner) => format!("[not {}]", show(inner)),
        ExprKind::Negative(inner) => format!("[- {}]", show(inner)),
        ExprKind::And(..) => {
            let mut parts = Vec::new();
            chain(expr, &mut parts);
            let parts: Vec<String> = parts.into_iter().map(show).collect();
            format!("[and {}]", parts.join(" "))
        }
        ExprKind::Or(..) => {
            let mut parts = Vec::new();
            chain(expr, &mut parts);
            let parts: Vec<String> = parts.into_iter().map(show).collect();
            format!("[or {}]", parts.join(" "))
        }
        ExprKind::Compare { operator, left, right } => {
            let name = if *operator == Comparison::Equal { "=" } else { "<" };
            format!("[{name} {} {}]", show(left), show(right))
        }
        ExprKind::Between { expr, low, high, .. } => {
            format!("[between {} {} {}]", show(expr), show(low), show(high))
        }
        ExprKind::In { expr, list, .. } => {
            let list: Vec<String> = list.iter().map(show).collect();
            format!("[in {} {}]", show(expr), list.join(" "))
        }
        ExprKind::IsNull { expr, .. } => format!("[null {}]", show(expr)),
        ExprKind::Other(parts) => {
            let parts: Vec<String> = parts.iter().map(show).collect();
            format!("[+ {}]", parts.join(" "))
        }
        other => panic!("not generated: {other:?}"),
    }
}

/// The operands of a chain of ANDs or ORs without parentheses.
fn chain<'a>(expr: &'a Expr, into: &mut Vec<&'a Expr>) {
    match &expr.kind {
        ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            for side in [left, right] {
                if std::mem::discriminant(&side.kind) == std::mem::discriminant(&expr.kind) {
                    chain(side, into);
                } else {
                    into.push(side);
                }
            }
        }
        _ => into.push(expr),
    }
}

/// Their structure in the same form.
fn theirs(expr: &Theirs) -> String {
    match expr {
        Theirs::Identifier(name) => name.value.clone(),
        Theirs::Nested(inner) => theirs(inner),
        Theirs::UnaryOp { op: UnaryOperator::Not, expr } => format!("[not {}]", theirs(expr)),
        Theirs::UnaryOp { expr, .. } => format!("[- {}]", theirs(expr)),
        Theirs::BinaryOp { left, op, right } => {
            let name = match op {
                BinaryOperator::And => "and",
                BinaryOperator::Or => "or",
                BinaryOperator::Eq => "=",
                BinaryOperator::Lt => "<",
                _ => "+",
            };
            let comparison = matches!(name, "=" | "<");
            let mut parts = Vec::new();
            for side in [left, right] {
                let same = |op: &BinaryOperator| match name {
                    "and" => *op == BinaryOperator::And,
                    "or" => *op == BinaryOperator::Or,
                    _ => matches!(op, BinaryOperator::Plus | BinaryOperator::Multiply),
                };
                match &**side {
                    Theirs::BinaryOp { op, .. } if !comparison && same(op) => {
                        let inner = theirs(side);
                        parts.push(inner[name.len() + 2..inner.len() - 1].to_owned());
                    }
                    side => parts.push(theirs(side)),
                }
            }
            format!("[{name} {}]", parts.join(" "))
        }
        Theirs::Between { expr, low, high, .. } => {
            format!("[between {} {} {}]", theirs(expr), theirs(low), theirs(high))
        }
        Theirs::InList { expr, list, .. } => {
            let list: Vec<String> = list.iter().map(theirs).collect();
            format!("[in {} {}]", theirs(expr), list.join(" "))
        }
        Theirs::IsNull(inner) => format!("[null {}]", theirs(inner)),
        other => panic!("not generated: {other:?}"),
    }
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 32, 3, |inner| {
        // Where comparisons, IN and BETWEEN stand side by side, they do not follow the grammar.
        let simple = prop_oneof![
            prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("- ({a})")),
        ];
        let sum = prop::collection::vec((simple, prop_oneof![Just("+"), Just("*")]), 1..4);
        let sum = sum.prop_map(|parts| {
            let text = parts.iter().map(|(a, op)| [a.as_str(), " ", op, " "].concat());
            let text: String = text.collect();
            text[..text.len() - 3].to_owned()
        });
        let two = (sum.clone(), sum.clone());
        let predicate = prop_oneof![
            sum.clone(),
            two.clone().prop_map(|(a, b)| format!("{a} = {b}")),
            two.clone().prop_map(|(a, b)| format!("{a} < {b}")),
            two.clone().prop_map(|(a, b)| format!("{a} IN ({b}, {b})")),
            two.prop_map(|(a, b)| format!("{a} BETWEEN {b} AND {b}")),
            sum.prop_map(|a| format!("{a} IS NULL")),
        ];
        let not = prop_oneof![Just(""), Just("NOT ")];
        let word = prop_oneof![Just("AND"), Just("OR")];
        prop::collection::vec((not, predicate, word), 1..4).prop_map(|parts| {
            let text = parts.iter().map(|(not, a, word)| format!("{not}{a} {word} "));
            let text: String = text.collect();
            let last = parts.last().map_or(0, |(_, _, word)| word.len() + 2);
            text[..text.len() - last].to_owned()
        })
    })
}

proptest! {
    #[test]
    fn both_parsers_see_the_same_structure(text in expression()) {
        let Ok(mut parser) = TheirParser::new(&MySqlDialect {}).try_with_sql(&text) else {
            return Ok(());
        };
        let Ok(their) = parser.parse_expr() else { return Ok(()) };
        if parser.peek_token().token != sqlparser::tokenizer::Token::EOF {
            return Ok(());
        }
        // What MySQL's grammar does not allow we refuse, and they may read.
        let Ok(Statement::Query(query)) = read(&format!("SELECT {text}")) else { return Ok(()) };
        let SetExpr::Select(select) = &query.body else { panic!("{text}") };
        let SelectItem::Expr { expr, .. } = &select.items[0] else { panic!("{text}") };
        prop_assert_eq!(ours(expr), theirs(&their), "{}", text);
    }
}
