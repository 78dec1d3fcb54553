//! A tree as one line of text.

use crate::sql::ast::*;

pub(super) fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Query(inner) => query(inner),
        Statement::Insert(inner) => insert(inner),
        Statement::Update(inner) => update(inner),
        Statement::Delete(inner) => delete(inner),
        Statement::Ddl(inner) => ddl(inner),
    }
}

/// Words and parts with spaces between them, empty ones left out.
fn words(parts: &[String]) -> String {
    let parts: Vec<&str> =
        parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    format!("({})", parts.join(" "))
}

fn flag(is: bool, word: &str) -> String {
    if is { word.to_owned() } else { String::new() }
}

fn list<T>(name: &str, items: &[T], show: impl Fn(&T) -> String) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<String> = items.iter().map(show).collect();
    format!("{name}[{}]", items.join(", "))
}

fn option(name: &str, item: Option<&Expr>) -> String {
    item.map_or(String::new(), |item| format!("{name} {}", expr(item)))
}

fn query(query: &Query) -> String {
    let with = query.with.as_ref().map_or(String::new(), with);
    let tail = [
        with,
        list("order", &query.order_by, order),
        query.limit.as_ref().map_or(String::new(), limit),
        match query.lock {
            Lock::None => String::new(),
            lock => format!("lock {lock:?}"),
        },
        flag(query.into, "into"),
    ];
    if tail.iter().all(String::is_empty) {
        return set_expr(&query.body);
    }
    let [with, tail @ ..] = tail;
    let mut parts = vec!["query".to_owned(), with, set_expr(&query.body)];
    parts.extend(tail);
    words(&parts)
}

fn with(with: &With) -> String {
    let recursive = if with.recursive { "recursive" } else { "with" };
    list(recursive, &with.ctes, |cte| {
        format!("{}{} {}", cte.name.text, list("", &cte.columns, ident), query(&cte.query))
    })
}

fn order(item: &OrderItem) -> String {
    format!("{}{}", expr(&item.expr), if item.descending { " desc" } else { "" })
}

fn limit(limit: &Limit) -> String {
    let offset = limit.offset.as_ref().map_or(String::new(), |e| format!("+{}", expr(e)));
    format!("limit {}{offset}", expr(&limit.count))
}

fn set_expr(body: &SetExpr) -> String {
    match body {
        SetExpr::Select(inner) => select(inner),
        SetExpr::SetOperation(inner) => words(&[
            format!("{:?}", inner.operator).to_lowercase(),
            flag(inner.all, "all"),
            set_expr(&inner.left),
            set_expr(&inner.right),
        ]),
        SetExpr::Query(inner) => format!("(paren {})", query(inner)),
        SetExpr::Values(rows) => list("values", rows, |row| list("", row, expr)),
    }
}

fn select(select: &Select) -> String {
    words(&[
        "select".to_owned(),
        flag(select.distinct, "distinct"),
        flag(select.calc_found_rows, "calc"),
        flag(select.straight_join, "straight"),
        list("", &select.items, item),
        list("from", &select.from, table),
        option("where", select.filter.as_ref()),
        list("group", &select.group_by, expr),
        flag(select.rollup, "rollup"),
        option("having", select.having.as_ref()),
        flag(select.named_windows, "windows"),
        list("", &select.window_clauses, expr),
    ])
}

fn ident(ident: &Ident) -> String {
    ident.text.clone()
}

fn alias(alias: Option<&Ident>) -> String {
    alias.map_or(String::new(), |alias| format!(" as {}", alias.text))
}

fn item(item: &SelectItem) -> String {
    match item {
        SelectItem::Wildcard(_) => "*".to_owned(),
        SelectItem::QualifiedWildcard { keyspace, table, .. } => {
            let keyspace = keyspace.as_ref().map_or(String::new(), |ks| format!("{}.", ks.text));
            format!("{keyspace}{}.*", table.text)
        }
        SelectItem::Expr { expr: inner, alias: name, .. } => {
            format!("{}{}", expr(inner), alias(name.as_ref()))
        }
    }
}

fn table(reference: &TableRef) -> String {
    match reference {
        TableRef::Table(inner) => table_factor(inner),
        TableRef::Derived { query: inner, alias: name, columns, lateral } => format!(
            "{}{}{}{}",
            if *lateral { "lateral " } else { "" },
            query(inner),
            alias(name.as_ref()),
            list("", columns, ident)
        ),
        TableRef::Join(join) => {
            let constraint = match &join.constraint {
                JoinConstraint::None => String::new(),
                JoinConstraint::On(condition) => format!("on {}", expr(condition)),
                JoinConstraint::Using(names) => list("using", names, ident),
                JoinConstraint::Natural => "natural".to_owned(),
            };
            let kind = format!("{:?}", join.kind).to_lowercase();
            words(&[kind, table(&join.left), table(&join.right), constraint])
        }
        TableRef::Nested(inner) => list("nested", inner, table),
        TableRef::Function { alias: name, .. } => format!("function{}", alias(name.as_ref())),
    }
}

fn table_factor(factor: &TableFactor) -> String {
    format!(
        "{}{}{}{}{}",
        object(&factor.name),
        if factor.partition { " partition" } else { "" },
        alias(factor.alias.as_ref()),
        list(" use", &factor.use_vindex, ident),
        list(" ignore", &factor.ignore_vindex, ident)
    )
}

fn object(name: &ObjectName) -> String {
    let keyspace = name.keyspace.as_ref().map_or(String::new(), |ks| format!("{}.", ks.text));
    format!("{keyspace}{}", name.name.text)
}

fn assignment(set: &Assignment) -> String {
    let table = [&set.keyspace, &set.table].into_iter().flatten();
    let table = table.fold(String::new(), |all, name| all + &name.text + ".");
    format!("{table}{} = {}", set.column.text, expr(&set.value))
}

fn insert(insert: &Insert) -> String {
    words(&[
        if insert.replace { "replace" } else { "insert" }.to_owned(),
        flag(insert.ignore, "ignore"),
        object(&insert.table),
        flag(insert.partition, "partition"),
        insert.columns.as_ref().map_or(String::new(), |columns| {
            if columns.is_empty() { "[]".to_owned() } else { list("", columns, ident) }
        }),
        match &insert.source {
            InsertSource::Values(rows) => {
                list("values", rows, |row| list("row", &row.values, expr))
            }
            InsertSource::Set(values) => list("set", values, expr),
            InsertSource::Query(inner) => query(inner),
        },
        insert.row_alias.as_ref().map_or(String::new(), |name| {
            format!("as {}{}", name.text, list("", &insert.row_columns, ident))
        }),
        list("update", &insert.on_duplicate, assignment),
        flag(insert.returning, "returning"),
    ])
}

fn update(update: &Update) -> String {
    words(&[
        "update".to_owned(),
        update.with.as_ref().map_or(String::new(), with),
        flag(update.ignore, "ignore"),
        list("", &update.tables, table),
        list("set", &update.assignments, assignment),
        option("where", update.filter.as_ref()),
        list("order", &update.order_by, order),
        update.limit.as_ref().map_or(String::new(), limit),
    ])
}

fn delete(delete: &Delete) -> String {
    words(&[
        "delete".to_owned(),
        delete.with.as_ref().map_or(String::new(), with),
        flag(delete.ignore, "ignore"),
        list("targets", &delete.targets, object),
        list("from", &delete.from, table),
        option("where", delete.filter.as_ref()),
        list("order", &delete.order_by, order),
        delete.limit.as_ref().map_or(String::new(), limit),
        flag(delete.returning, "returning"),
    ])
}

fn ddl(ddl: &Ddl) -> String {
    words(&[
        format!("{:?}", ddl.kind),
        flag(ddl.temporary, "temporary"),
        flag(ddl.conditional, "conditional"),
        list("", &ddl.tables, object),
        ddl.query.as_ref().map_or(String::new(), |inner| query(inner)),
    ])
}

fn not(negated: bool, name: &str) -> String {
    if negated { format!("not-{name}") } else { name.to_owned() }
}

pub(super) fn expr(node: &Expr) -> String {
    let two =
        |name: &str, left: &Expr, right: &Expr| format!("({name} {} {})", expr(left), expr(right));
    match &node.kind {
        ExprKind::Hole(number) => format!("#{number}"),
        ExprKind::Ordinal(number) => format!("@{number}"),
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Default => "default".to_owned(),
        ExprKind::Column { keyspace, table, name } => {
            let names = [keyspace.as_ref(), table.as_ref(), Some(name)];
            let names: Vec<&str> = names.into_iter().flatten().map(|n| n.text.as_str()).collect();
            names.join(".")
        }
        ExprKind::Wildcard => "*".to_owned(),
        ExprKind::Nested(inner) => format!("({})", expr(inner)),
        ExprKind::Not(inner) => format!("(not {})", expr(inner)),
        ExprKind::Negative(inner) => format!("(- {})", expr(inner)),
        ExprKind::And(left, right) => two("and", left, right),
        ExprKind::Or(left, right) => two("or", left, right),
        ExprKind::Compare { operator, left, right } => {
            let symbol = match operator {
                Comparison::Equal => "=",
                Comparison::NullSafeEqual => "<=>",
                Comparison::NotEqual => "<>",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            two(symbol, left, right)
        }
        ExprKind::Tuple(items) => list("row", items, expr),
        ExprKind::Function(inner) => function(inner),
        ExprKind::Collate { expr: inner, collation } => {
            format!("(collate {} {})", expr(inner), collation.text)
        }
        ExprKind::Subquery(inner) => format!("(scalar {})", query(inner)),
        ExprKind::Exists { query: inner, negated } => {
            format!("({} {})", not(*negated, "exists"), query(inner))
        }
        ExprKind::Quantified { expr: inner, query: list } => {
            format!("(quantified {} {})", expr(inner), query(list))
        }
        ExprKind::UserVariable(name) => format!("@{name}"),
        ExprKind::SystemVariable(name) => name.clone(),
        ExprKind::AssignVariable(value) => format!("(assign {})", expr(value)),
        ExprKind::Other(children) => {
            if children.is_empty() {
                "other[]".to_owned()
            } else {
                list("other", children, expr)
            }
        }
        ExprKind::NextValues(count) => {
            format!("(next{})", count.as_ref().map_or(String::new(), |n| format!(" {}", expr(n))))
        }
        ExprKind::Opaque => "opaque".to_owned(),
        _ => predicate(node),
    }
}

fn predicate(node: &Expr) -> String {
    match &node.kind {
        ExprKind::In { expr: inner, list: items, negated, .. } => {
            format!("({} {} {})", not(*negated, "in"), expr(inner), list("", items, expr))
        }
        ExprKind::InSubquery { expr: inner, query: list, negated } => {
            format!("({} {} {})", not(*negated, "in"), expr(inner), query(list))
        }
        ExprKind::Between { expr: inner, low, high, negated } => {
            format!("({} {} {} {})", not(*negated, "between"), expr(inner), expr(low), expr(high))
        }
        ExprKind::Like { expr: inner, pattern, negated, escape } => {
            let name = not(*negated, if *escape { "like-escape" } else { "like" });
            format!("({name} {} {})", expr(inner), expr(pattern))
        }
        ExprKind::IsNull { expr: inner, negated } => {
            format!("({} {})", not(*negated, "null"), expr(inner))
        }
        other => panic!("{other:?}"),
    }
}

fn function(function: &Function) -> String {
    let qualifier =
        function.qualifier.as_ref().map_or(String::new(), |name| format!("{}.", name.text));
    let extra = [
        (function.distinct, " distinct"),
        (function.order_by, " order"),
        (function.separator, " separator"),
        (function.over, " over"),
    ];
    let extra: String = extra.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let args: Vec<String> = function.args.iter().map(expr).collect();
    let clauses = list("", &function.clauses, expr);
    format!("{qualifier}{}({}{extra}{clauses})", function.name.text, args.join(", "))
}
