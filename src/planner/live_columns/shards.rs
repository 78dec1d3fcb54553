//! One definition of each table out of those that the shards of a keyspace have.
//!
//! Where they differ, a column is what is true of it on every shard: the shortest length, and
//! filled by servers if one of them fills it. A column of two types or collations has none, so
//! nothing is routed by it, and a write by it is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::vschema::{Column, Filling, SqlType, name_key, same_name};

use super::views::ViewRow;
use super::{ColumnRow, column};

/// What one shard has, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardTables {
    /// The name of the shard.
    pub shard: String,
    /// What its primary said last; `None` if it never answered.
    pub seen: Option<Arc<SeenTables>>,
}

/// The tables of a keyspace's database on one server.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenTables {
    /// Sorted by table and position.
    rows: Vec<ColumnRow>,
    views: Vec<ViewRow>,
}

/// A table as planned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveTable {
    pub(super) columns: Arc<[Column]>,
    pub(super) differences: Option<Arc<Differences>>,
}

/// In what the shards of a keyspace define a table differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    lists: bool,
    /// By name in lower case: columns that have no type in common.
    untyped: HashMap<String, String>,
}

impl SeenTables {
    /// What a server answered.
    pub fn new(mut rows: Vec<ColumnRow>, views: Vec<ViewRow>) -> Self {
        rows.sort_by(|a, b| (&a.table, a.position).cmp(&(&b.table, b.position)));
        Self { rows, views }
    }

    pub(super) fn views(&self) -> &[ViewRow] {
        &self.views
    }
}

impl ShardTables {
    /// Whether it was seen, and to have tables: an account that may see none is told of none.
    pub(super) fn has_tables(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| !seen.rows.is_empty())
    }
}

impl Differences {
    /// Whether a row's values stand in other places, or `*` means other columns.
    pub fn in_lists(&self) -> bool {
        self.lists
    }

    /// What each shard has, if nothing may be routed by a column because of that.
    pub fn of_column(&self, name: &str) -> Option<&str> {
        self.untyped.get(&name_key(name)).map(String::as_str)
    }
}

/// The rows of a table on shards that have the same.
struct Variant<'a> {
    shards: &'a [&'a str],
    rows: &'a [ColumnRow],
    columns: Vec<Column>,
}

/// The tables of a keyspace.
pub(super) fn merged(shards: &[ShardTables]) -> Vec<(String, LiveTable)> {
    let mut same: Vec<(&Arc<SeenTables>, Vec<&str>)> = Vec::new();
    for shard in shards {
        let Some(seen) = &shard.seen else { continue };
        // Whoever reads them shares what is the same.
        match same.iter_mut().find(|(other, _)| Arc::ptr_eq(other, seen)) {
            Some((_, names)) => names.push(&shard.shard),
            None => same.push((seen, vec![&shard.shard])),
        }
    }
    let mut tables: BTreeMap<&str, Vec<Variant<'_>>> = BTreeMap::new();
    for (seen, shards) in &same {
        for rows in seen.rows.chunk_by(|a, b| a.table == b.table) {
            let variants = tables.entry(&rows[0].table).or_default();
            variants.push(Variant { shards, rows, columns: rows.iter().map(column).collect() });
        }
    }
    tables.into_iter().map(|(name, variants)| (name.to_owned(), one(&variants))).collect()
}

fn one(variants: &[Variant<'_>]) -> LiveTable {
    let first = &variants[0].columns;
    if variants.iter().all(|variant| variant.columns == *first) {
        return LiveTable { columns: first.as_slice().into(), differences: None };
    }
    let list = |variant: &Variant<'_>| -> Vec<(String, bool)> {
        variant.columns.iter().map(|own| (name_key(&own.name), own.invisible)).collect()
    };
    let lists = variants.iter().any(|variant| list(variant) != list(&variants[0]));
    let mut differences = Differences { lists, untyped: HashMap::new() };
    let mut columns: Vec<Column> = Vec::new();
    for own in variants.iter().flat_map(|variant| &variant.columns) {
        let Some(known) = columns.iter_mut().find(|c| same_name(&c.name, &own.name)) else {
            columns.push(own.clone());
            continue;
        };
        if !merge(known, own) {
            differences.untyped.insert(name_key(&own.name), definitions(variants, &own.name));
        }
    }
    LiveTable { columns: columns.into(), differences: Some(Arc::new(differences)) }
}

/// Leaves of a column what another shard's does not contradict; whether it still has a type.
fn merge(known: &mut Column, other: &Column) -> bool {
    let sized = known.sql_type == SqlType::Binary;
    let same = known.sql_type == other.sql_type
        && collation(known) == collation(other)
        && known.values == other.values
        && (!sized || known.size == other.size);
    if known.default != other.default {
        known.default = None;
    }
    known.nullable |= other.nullable;
    known.invisible |= other.invisible;
    known.touched |= other.touched;
    known.scale = known.scale.max(other.scale);
    if strictness(other.filling) > strictness(known.filling) {
        known.filling = other.filling;
    }
    // 0 is a length that is not known, or none.
    known.size = match (known.size, other.size) {
        (0, size) | (size, 0) => size,
        (own, other) => own.min(other),
    };
    if !same {
        known.sql_type = SqlType::Unknown;
        known.collation = None;
        known.size = 0;
        known.values.clear();
    }
    same
}

/// A collation by one of its names: servers before and after a version print it differently.
fn collation(column: &Column) -> Option<String> {
    let name = column.collation.as_deref()?.to_ascii_lowercase();
    Some(match name.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => name,
    })
}

/// The more a server does itself, the less a statement may leave to it.
fn strictness(filling: Filling) -> u8 {
    match filling {
        Filling::Constant => 0,
        Filling::Unknown => 1,
        Filling::Computed => 2,
        Filling::Number => 3,
        Filling::Generated => 4,
    }
}

/// How many shards of one definition are named.
const NAMED: usize = 3;

/// `varchar(10) utf8mb4_bin on shard -80, int on 80-`
fn definitions(variants: &[Variant<'_>], name: &str) -> String {
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for variant in variants {
        let row = variant.rows.iter().find(|row| same_name(&row.name, name));
        let text = row.map_or_else(|| "missing".to_owned(), definition);
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, shards)) => shards.extend(variant.shards),
            None => told.push((text, variant.shards.to_vec())),
        }
    }
    let told = told.into_iter().map(|(text, shards)| {
        let more = shards.len().saturating_sub(NAMED);
        let named = shards[..shards.len() - more].join(" and ");
        if more > 0 {
            format!("{text} on {named} and {more} other shards")
        } else {
            format!("{text} on {named}")
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

fn definition(row: &ColumnRow) -> String {
    match &row.collation {
        Some(collation) => format!("{} {collation}", row.column_type),
        None => row.column_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::input::ColumnSource as _;
    use crate::planner::live_columns::LiveColumns;
    use crate::vschema::TableName;

    fn row(table: &str, name: &str, position: u64, column_type: &str) -> ColumnRow {
        let word = column_type.find('(').unwrap_or(column_type.len());
        let is_text = column_type.contains("char") || column_type.contains("binary");
        let length = column_type[word..].trim_matches(['(', ')']).parse().ok();
        ColumnRow {
            table: table.to_owned(),
            name: name.to_owned(),
            position,
            data_type: column_type[..word].to_owned(),
            column_type: column_type.to_owned(),
            nullable: "NO".to_owned(),
            length: length.filter(|_| is_text),
            ..ColumnRow::default()
        }
    }

    fn shard(name: &str, rows: Option<Vec<ColumnRow>>) -> ShardTables {
        let seen = rows.map(|rows| Arc::new(SeenTables::new(rows, Vec::new())));
        ShardTables { shard: name.to_owned(), seen }
    }

    /// The table `t` of a keyspace whose shards have these columns.
    fn of(shards: [Vec<ColumnRow>; 2]) -> LiveColumns {
        let [low, high] = shards;
        let shards = [shard("-80", Some(low)), shard("80-", Some(high))];
        LiveColumns::default().with_shards("ks", "ks", &shards)
    }

    fn t() -> TableName {
        TableName { keyspace: "ks".to_owned(), name: "t".to_owned() }
    }

    #[test]
    fn a_column_is_what_is_true_of_it_on_every_shard() {
        let filled =
            |extra: &str| ColumnRow { extra: extra.to_owned(), ..row("t", "n", 2, "bigint") };
        let cases = [
            (row("t", "n", 2, "bigint"), filled("auto_increment"), Filling::Number, false),
            (filled("auto_increment"), filled("STORED GENERATED"), Filling::Generated, false),
            (
                filled("on update CURRENT_TIMESTAMP"),
                row("t", "n", 2, "bigint"),
                Filling::Constant,
                true,
            ),
        ];
        for (low, high, filling, touched) in cases {
            let case = format!("{low:?} {high:?}");
            let key = |length| row("t", "k", 1, &format!("varchar({length})"));
            let live = of([vec![key(10), low], vec![key(3), high]]);
            let [key, n] = live.columns(&t()).unwrap() else { panic!("{case}") };
            assert_eq!((key.sql_type, key.size), (SqlType::VarChar, 3), "{case}");
            assert_eq!((n.filling, n.touched), (filling, touched), "{case}");
            let differences = live.differences(&t()).unwrap();
            assert!(!differences.in_lists() && differences.of_column("k").is_none(), "{case}");
        }
        let same = of([vec![row("t", "k", 1, "int(11)")], vec![row("t", "k", 1, "int")]]);
        assert!(same.differences(&t()).is_none());
    }

    #[test]
    fn a_column_of_two_types_has_none() {
        let collated = |collation: &str| ColumnRow {
            collation: Some(collation.to_owned()),
            ..row("t", "K", 1, "varchar(10)")
        };
        let cases = [
            (row("t", "K", 1, "int"), row("t", "K", 1, "bigint"), "int on -80, bigint on 80-"),
            (
                row("t", "K", 1, "binary(4)"),
                row("t", "K", 1, "binary(8)"),
                "binary(4) on -80, binary(8) on 80-",
            ),
            (
                collated("utf8mb4_bin"),
                collated("utf8mb4_unicode_ci"),
                "varchar(10) utf8mb4_bin on -80, varchar(10) utf8mb4_unicode_ci on 80-",
            ),
        ];
        for (low, high, text) in cases {
            let live = of([vec![low], vec![high]]);
            assert_eq!(live.columns(&t()).unwrap()[0].sql_type, SqlType::Unknown, "{text}");
            assert_eq!(live.differences(&t()).unwrap().of_column("k"), Some(text));
        }
        let renamed = of([vec![collated("utf8_bin")], vec![collated("utf8mb3_bin")]]);
        assert_eq!(renamed.columns(&t()).unwrap()[0].sql_type, SqlType::VarChar);
    }

    #[test]
    fn lists_differ_by_order_presence_and_visibility() {
        let a = || row("t", "a", 1, "int");
        let b = || row("t", "b", 2, "int");
        let hidden = ColumnRow { extra: "INVISIBLE".to_owned(), ..b() };
        let first = ColumnRow { position: 0, ..b() };
        for (other, expected) in
            [(vec![a()], true), (vec![a(), hidden], true), (vec![first, a()], true)]
        {
            let live = of([vec![a(), b()], other]);
            assert_eq!(live.differences(&t()).unwrap().in_lists(), expected);
            assert_eq!(live.columns(&t()).unwrap().len(), 2);
        }
    }

    #[test]
    fn a_table_is_lacking_only_where_every_shard_was_seen_without_it() {
        let other = || vec![row("other", "a", 1, "int")];
        let both = || vec![row("other", "a", 1, "int"), row("t", "a", 1, "int")];
        let lacks = |low: Option<Vec<ColumnRow>>, high: Option<Vec<ColumnRow>>| {
            let shards = [shard("-80", low), shard("80-", high)];
            LiveColumns::default().with_shards("ks", "ks", &shards).lacks(&t())
        };
        assert!(lacks(Some(other()), Some(other())));
        assert!(!lacks(Some(other()), Some(both())));
        assert!(!lacks(Some(both()), Some(other())));
        assert!(!lacks(Some(other()), None));
        assert!(!lacks(Some(other()), Some(Vec::new())));
        assert!(!LiveColumns::default().with_shards("ks", "ks", &[]).lacks(&t()));
    }
}
