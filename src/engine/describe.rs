//! A plan as people read it: an indented tree of a few words a node, or JSON.
//!
//! Both are renderings of one description. Operator and variant names are vtgate's.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::plan::{
    Aggregate, AggregateFunction, Bindings, ColumnRef, CompareKey, Direction, LimitValue, Merge,
    Operation, Plan, Primitive, Route, ShardPart, SortKey, SourceOrder, Stage,
};
use super::routing::{Opcode, Operands, RoutingValue, Stored, VindexFinder};
use super::template::Rendered;

/// A node of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The operator.
    pub operator: String,
    /// Words about it, in order: name and text.
    pub details: Vec<(&'static str, String)>,
    /// The statement it sends.
    pub query: Option<String>,
    /// What it reads from.
    pub inputs: Vec<Description>,
}

/// An operator that sends statements to shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedRoute {
    /// The operator: Route, Insert, Update, Delete, Send, DDL.
    pub operator: &'static str,
    /// How it finds shards; none for statements that are only passed on.
    pub variant: Option<&'static str>,
    /// Its keyspace.
    pub keyspace: String,
    /// The vindex that it uses.
    pub vindex: Option<String>,
    /// Its tables.
    pub table: String,
    /// The text for a shard that gets all of it.
    pub query: String,
}

/// Describes a plan for one statement that it fits.
pub fn describe<B: Bindings>(plan: &Plan, bindings: &B) -> Description {
    primitive(&plan.root, bindings)
}

/// The operators of a plan that send statements to shards, in pre-order.
pub fn routes<B: Bindings>(plan: &Plan, bindings: &B) -> Vec<DescribedRoute> {
    match &plan.root {
        Primitive::Route(route) => vec![described_route(route, bindings)],
        Primitive::Merge(merge) => vec![described_route(&merge.route, bindings)],
        Primitive::NextValue(next) => vec![DescribedRoute {
            operator: "Route",
            variant: Some(Opcode::Next.name()),
            keyspace: next.keyspace.to_string(),
            vindex: None,
            table: next.sequence.to_string(),
            query: String::from_utf8_lossy(bindings.text()).into_owned(),
        }],
    }
}

fn described_route<B: Bindings>(route: &Route, bindings: &B) -> DescribedRoute {
    DescribedRoute {
        operator: operator(route.operation),
        variant: variant(route),
        keyspace: route.keyspace.to_string(),
        vindex: route.routing.finder().map(|finder| finder.vindex.name.clone()),
        table: route.table.clone(),
        query: query(route, bindings),
    }
}

fn operator(operation: Operation) -> &'static str {
    match operation {
        Operation::Route => "Route",
        Operation::Insert => "Insert",
        Operation::Update => "Update",
        Operation::Delete => "Delete",
        Operation::Send => "Send",
        Operation::Ddl => "DDL",
    }
}

fn variant(route: &Route) -> Option<&'static str> {
    let opcode = route.routing.opcode();
    match route.operation {
        Operation::Send | Operation::Ddl => None,
        Operation::Insert if opcode == Opcode::Unsharded => Some("Unsharded"),
        Operation::Insert => Some("Sharded"),
        Operation::Route | Operation::Update | Operation::Delete => Some(opcode.name()),
    }
}

/// The text for a shard that gets the whole statement. Errors of the values show as a comment.
fn query<B: Bindings>(route: &Route, bindings: &B) -> String {
    let mut out = Rendered::default();
    match route.query.render(bindings, &ShardPart::whole(0), &[], &mut out) {
        Ok(()) => String::from_utf8_lossy(&out.text).into_owned(),
        Err(error) => format!("-- {error}"),
    }
}

fn primitive<B: Bindings>(primitive: &Primitive, bindings: &B) -> Description {
    match primitive {
        Primitive::Route(route) => describe_route(route, bindings),
        Primitive::Merge(merge) => describe_merge(merge, bindings),
        Primitive::NextValue(next) => Description {
            operator: "NextValue".to_owned(),
            details: vec![("table", format!("{}.{}", next.keyspace, next.sequence))],
            query: None,
            inputs: vec![],
        },
    }
}

fn describe_route<B: Bindings>(route: &Route, bindings: &B) -> Description {
    let mut details = Vec::new();
    if let Some(variant) = variant(route) {
        details.push(("variant", variant.to_owned()));
    }
    let table = if route.table.is_empty() { "" } else { "." };
    details.push(("table", format!("{}{table}{}", route.keyspace, route.table)));
    if let Some(finder) = route.routing.finder() {
        let values = operands(finder, bindings);
        details.push(("vindex", format!("{}({values})", finder.vindex.name)));
    }
    for stored in route.routing.checked() {
        let place = match stored {
            Stored::ByVindex(finder) | Stored::Changed(finder) => {
                format!("{}({})", finder.vindex.name, operands(finder, bindings))
            }
            Stored::Pinned(id) => format!("pin {id}"),
        };
        details.push(("within", format!("within={place}")));
    }
    if !route.copies.keyspaces.is_empty() {
        details.push(("copies", format!("copies={}", route.copies.keyspaces.join(", "))));
    }
    if let Some(generate) = &route.generate {
        let sequence = format!("sequence={}.{}", generate.keyspace, generate.sequence);
        details.push(("sequence", sequence));
    }
    Description {
        operator: operator(route.operation).to_owned(),
        details,
        query: Some(query(route, bindings)),
        inputs: vec![],
    }
}

fn describe_merge<B: Bindings>(merge: &Merge, bindings: &B) -> Description {
    let mut node = describe_route(&merge.route, bindings);
    if let SourceOrder::MergeSort(keys) = &merge.order {
        node = above("MergeSort", sort_keys(keys), node);
    }
    for stage in &merge.stages {
        node = match stage {
            Stage::Aggregate { keys, aggregates } => {
                let operator = if keys.is_empty() { "ScalarAggregate" } else { "GroupAggregate" };
                let mut text = joined(aggregates.iter().map(aggregate));
                if !keys.is_empty() {
                    let _ = write!(text, " by {}", joined(keys.iter().map(compare_key)));
                }
                above(operator, text.trim_start().to_owned(), node)
            }
            Stage::Distinct(keys) => above("Distinct", joined(keys.iter().map(compare_key)), node),
            Stage::Sort(keys) => above("Sort", sort_keys(keys), node),
            Stage::Limit { count, offset } => {
                let number = |value: &LimitValue| limit(value, bindings);
                let count = count.as_ref().map_or_else(|| "all".to_owned(), number);
                let offset = offset.as_ref().map(|o| format!(" offset {}", number(o)));
                above("Limit", count + &offset.unwrap_or_default(), node)
            }
        };
    }
    if merge.hidden > 0 {
        node = above("Truncate", format!("{} hidden", merge.hidden), node);
    }
    node
}

fn above(operator: &str, detail: String, input: Description) -> Description {
    Description {
        operator: operator.to_owned(),
        details: vec![("what", detail)],
        query: None,
        inputs: vec![input],
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn sort_keys(keys: &[SortKey]) -> String {
    joined(keys.iter().map(|key| match key.direction {
        Direction::Ascending => compare_key(&key.key),
        Direction::Descending => format!("{} desc", compare_key(&key.key)),
    }))
}

fn compare_key(key: &CompareKey) -> String {
    let weight = key.weight.map(|weight| format!("/{}", column(weight.string)));
    column(key.column) + &weight.unwrap_or_default()
}

/// Columns are numbered from 1; `h1` is the first hidden one.
fn column(column: ColumnRef) -> String {
    match column {
        ColumnRef::Visible(index) => (index + 1).to_string(),
        ColumnRef::Hidden(index) => format!("h{}", index + 1),
    }
}

fn aggregate(aggregate: &Aggregate) -> String {
    let own = column(aggregate.column);
    match aggregate.function {
        AggregateFunction::Count => format!("count {own}"),
        AggregateFunction::Sum => format!("sum {own}"),
        AggregateFunction::Min { .. } => format!("min {own}"),
        AggregateFunction::Max { .. } => format!("max {own}"),
        AggregateFunction::Avg { sum, count } => {
            format!("avg {own} = {} / {}", column(sum), column(count))
        }
    }
}

fn limit<B: Bindings>(value: &LimitValue, bindings: &B) -> String {
    match value {
        LimitValue::Constant(number) => number.to_string(),
        LimitValue::Hole(hole) => hole_text(*hole, bindings),
    }
}

fn operands<B: Bindings>(finder: &VindexFinder, bindings: &B) -> String {
    let value = |value: &RoutingValue| routing_value(value, bindings);
    let row = |row: &[RoutingValue]| joined(row.iter().map(value));
    match &finder.operands {
        Operands::Equal(values) => row(values),
        Operands::List(values) => row(values),
        Operands::Rows(rows) => joined(rows.iter().map(|values| format!("({})", row(values)))),
        Operands::Product(columns) => {
            let column = |values: &Vec<RoutingValue>| format!("({})", row(values));
            columns.iter().map(column).collect::<Vec<_>>().join(" x ")
        }
        Operands::Between(low, high) => format!("{}..{}", value(low), value(high)),
        Operands::Prefix(pattern) => format!("like {}", value(pattern)),
    }
}

fn routing_value<B: Bindings>(value: &RoutingValue, bindings: &B) -> String {
    match value {
        RoutingValue::Hole(hole) => hole_text(*hole, bindings),
        RoutingValue::Negative(hole) => format!("-{}", hole_text(*hole, bindings)),
        RoutingValue::Null => "NULL".to_owned(),
        RoutingValue::Constant(number) => number.to_string(),
        RoutingValue::Generated(..) => "next".to_owned(),
    }
}

fn hole_text<B: Bindings>(hole: crate::sql::ast::HoleId, bindings: &B) -> String {
    String::from_utf8_lossy(&bindings.text()[bindings.hole_span(hole)]).into_owned()
}

impl Description {
    /// The tree as indented text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(0, &mut out);
        out
    }

    fn write_text(&self, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        let _ = write!(out, "{indent}{}", self.operator);
        for (_, text) in self.details.iter().filter(|(_, text)| !text.is_empty()) {
            let _ = write!(out, " {text}");
        }
        out.push('\n');
        if let Some(query) = &self.query {
            let _ = writeln!(out, "{indent}  {query}");
        }
        for input in &self.inputs {
            input.write_text(depth + 1, out);
        }
    }

    /// The tree as JSON.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("operator".to_owned(), json!(self.operator));
        for (name, text) in &self.details {
            object.insert((*name).to_owned(), json!(text));
        }
        if let Some(query) = &self.query {
            object.insert("query".to_owned(), json!(query));
        }
        if !self.inputs.is_empty() {
            let inputs = self.inputs.iter().map(Self::to_json).collect();
            object.insert("inputs".to_owned(), Json::Array(inputs));
        }
        Json::Object(object)
    }
}

impl DescribedRoute {
    /// The route as `geogate explain --format json` lists it.
    pub fn to_json(&self) -> Json {
        json!({
            "op": self.operator,
            "variant": self.variant,
            "keyspace": self.keyspace,
            "vindex": self.vindex,
            "table": self.table,
            "query": self.query,
        })
    }
}
