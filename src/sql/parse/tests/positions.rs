//! Positions and spans are proved by writing text there and parsing again.

use super::{corpus, read, tree};
use crate::sql::ast::*;
use crate::sql::visit::{Visitor, Walk, walk_statement};

/// Every query, SELECT and expression of a statement.
#[derive(Default)]
struct Parts {
    queries: Vec<Query>,
    selects: Vec<Select>,
    exprs: Vec<Expr>,
    tables: Vec<TableFactor>,
}

impl Visitor for Parts {
    fn expr(&mut self, expr: &Expr) -> Walk {
        self.exprs.push(expr.clone());
        Walk::Inside
    }

    fn query(&mut self, query: &Query) -> Walk {
        self.queries.push(query.clone());
        Walk::Inside
    }

    fn select(&mut self, select: &Select) -> Walk {
        self.selects.push(select.clone());
        Walk::Inside
    }

    fn table(&mut self, table: &TableFactor) {
        self.tables.push(table.clone());
    }
}

fn parts(sql: &str) -> Parts {
    let mut parts = Parts::default();
    walk_statement(&mut parts, &read(sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
    parts
}

fn insert(sql: &str, at: u32, text: &str) -> String {
    let (before, after) = sql.split_at(at as usize);
    format!("{before}{text}{after}")
}

fn replace(sql: &str, span: Span, text: &str) -> String {
    format!("{}{text}{}", &sql[..span.start as usize], &sql[span.end as usize..])
}

fn slice(sql: &str, span: Span) -> &str {
    &sql[span.start as usize..span.end as usize]
}

#[test]
fn a_column_can_be_appended_to_every_select() {
    for sql in corpus() {
        for (number, select) in parts(&sql).selects.iter().enumerate() {
            let changed = insert(&sql, select.items_end, ", gg_added");
            let found = &parts(&changed).selects[number];
            assert_eq!(found.items.len(), select.items.len() + 1, "{changed}");
            let SelectItem::Expr { expr, .. } = &found.items[select.items.len()] else { panic!() };
            assert_eq!(slice(&changed, expr.span), "gg_added", "{changed}");
        }
    }
}

#[test]
fn a_filter_can_be_added_to_every_select() {
    let mut count = 0;
    for sql in corpus() {
        for (number, select) in parts(&sql).selects.iter().enumerate() {
            let position = select.filter.is_none().then_some(select.filter_position);
            let Some(position) = position.filter(|_| !select.from.is_empty()) else { continue };
            let changed = insert(&sql, position, " WHERE gg_added ");
            let found = &parts(&changed).selects[number];
            let filter = found.filter.as_ref().unwrap_or_else(|| panic!("{changed}"));
            assert_eq!(slice(&changed, filter.span), "gg_added", "{changed}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn order_by_and_limit_can_be_added_to_every_query() {
    let mut count = 0;
    for sql in corpus() {
        for (number, query) in parts(&sql).queries.iter().enumerate() {
            if query.order_by.is_empty() {
                let changed = insert(&sql, query.order_by_position, " ORDER BY gg_added ");
                let found = &parts(&changed).queries[number];
                assert_eq!(found.order_by.len(), 1, "{changed}");
                assert_eq!(found.limit.is_some(), query.limit.is_some(), "{changed}");
                count += 1;
            }
            if query.limit.is_none() {
                let changed = insert(&sql, query.limit_position, " LIMIT 7 ");
                let found = &parts(&changed).queries[number];
                assert_eq!(found.limit.as_ref().map(|l| slice(&changed, l.span)), Some("LIMIT 7"));
                assert_eq!(found.order_by.len(), query.order_by.len(), "{changed}");
                assert_eq!(found.lock, query.lock, "{changed}");
                count += 1;
            }
            if let Some(limit) = &query.limit {
                let changed = replace(&sql, limit.span, "");
                assert!(parts(&changed).queries[number].limit.is_none(), "{changed}");
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn in_lists_can_be_replaced() {
    let mut count = 0;
    for sql in corpus() {
        for (number, expr) in parts(&sql).exprs.iter().enumerate() {
            let ExprKind::In { list, list_span, .. } = &expr.kind else { continue };
            assert!(
                slice(&sql, *list_span).starts_with('(') && slice(&sql, *list_span).ends_with(')')
            );
            let first = slice(&sql, list[0].span);
            let changed = replace(&sql, *list_span, &format!("({first})"));
            let ExprKind::In { list: found, .. } = &parts(&changed).exprs[number].kind else {
                panic!("{changed}")
            };
            assert_eq!(found.len(), 1, "{changed}");
            count += 1;
        }
    }
    assert!(count > 8, "{count}");
}

#[test]
fn a_column_can_be_added_to_every_insert() {
    let mut count = 0;
    for sql in corpus() {
        let Ok(Statement::Insert(found)) = read(&sql) else { continue };
        let set = matches!(found.source, InsertSource::Set(_));
        let (Some(columns), false) = (&found.columns, set) else { continue };
        let comma = if columns.is_empty() { "" } else { ", " };
        let mut changed = insert(&sql, found.columns_end, &format!("{comma}gg_added"));
        let shift = (changed.len() - sql.len()) as u32;
        if let InsertSource::Values(rows) = &found.source {
            for row in rows.iter().rev() {
                let comma = if row.values.is_empty() { "" } else { ", " };
                changed = insert(&changed, row.span.end - 1 + shift, &format!("{comma}5"));
            }
        }
        let Ok(Statement::Insert(again)) = read(&changed) else { panic!("{changed}") };
        let names = again.columns.unwrap_or_default();
        assert_eq!(names.last().map(|name| name.text.as_str()), Some("gg_added"), "{changed}");
        if let (InsertSource::Values(old), InsertSource::Values(new)) =
            (&found.source, &again.source)
        {
            let added =
                |row: &InsertRow| slice(&changed, row.values[row.values.len() - 1].span) == "5";
            assert!(old.len() == new.len() && new.iter().all(added), "{changed}");
        }
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn spans_hold_exactly_their_expression() {
    let mut count = 0;
    for sql in corpus() {
        for expr in parts(&sql).exprs {
            if matches!(
                expr.kind,
                ExprKind::Wildcard | ExprKind::Ordinal(_) | ExprKind::NextValues(_)
            ) {
                continue;
            }
            let text = slice(&sql, expr.span);
            assert_eq!(text.trim(), text, "{sql}");
            // Alone, the text must be the same expression, apart from the numbers of holes.
            let alone = parts(&format!("SELECT {text}"));
            let alone = &alone.exprs[0];
            let digits = |tree: String| tree.replace(|c: char| c.is_ascii_digit(), "");
            assert_eq!(digits(tree::expr(alone)), digits(tree::expr(&expr)), "{text} in {sql}");
            count += 1;
        }
    }
    assert!(count > 600, "{count}");
}

#[test]
fn qualifiers_and_vindex_hints_can_be_cut() {
    let mut count = 0;
    for sql in corpus() {
        for (number, table) in parts(&sql).tables.iter().enumerate() {
            if table.name.keyspace.is_some() {
                let qualifier =
                    Span { start: table.name.span.start, end: table.name.name.span.start };
                let changed = replace(&sql, qualifier, "");
                let found = &parts(&changed).tables[number];
                assert_eq!(
                    (&found.name.keyspace, &found.name.name.text),
                    (&None, &table.name.name.text)
                );
                count += 1;
            }
            if let Some(span) = table.vindex_hint_span {
                let changed = replace(&sql, span, "");
                let found = &parts(&changed).tables[number];
                assert!(found.use_vindex.is_empty() && found.ignore_vindex.is_empty(), "{changed}");
                count += 1;
            }
        }
    }
    assert!(count > 8, "{count}");
}
