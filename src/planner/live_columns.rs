//! The columns that the servers have, as a snapshot: what `information_schema.columns` said.
//!
//! Pure: whoever reads the servers brings the rows. A snapshot never changes; a newer one makes
//! new generations, because plans depend on it. Types that Geogate does not know (MariaDB's `uuid`,
//! `inet6`, types of plugins) become [`SqlType::Unknown`], so nothing is routed by them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::vschema::{Column, Filling, SqlType, TableName};

pub use self::shards::{Differences, SeenTables, ShardTables};
pub use self::views::ViewRow;

use self::shards::LiveTable;
use self::views::Views;
use super::input::ColumnSource;

mod shards;
mod views;

/// What the servers said of all tables that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveColumns {
    tables: HashMap<TableName, LiveTable>,
    /// Keyspaces of which every shard was seen to have tables.
    complete: HashSet<String>,
    views: Views,
}

/// A row of `information_schema.columns`, in the terms of MySQL and MariaDB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRow {
    /// TABLE_NAME.
    pub table: String,
    /// COLUMN_NAME.
    pub name: String,
    /// ORDINAL_POSITION, from 1.
    pub position: u64,
    /// DATA_TYPE: the type's name alone.
    pub data_type: String,
    /// COLUMN_TYPE: with length, members, UNSIGNED and ZEROFILL.
    pub column_type: String,
    /// COLLATION_NAME, of text.
    pub collation: Option<String>,
    /// IS_NULLABLE: `YES` or `NO`.
    pub nullable: String,
    /// EXTRA: among other words `INVISIBLE`.
    pub extra: String,
    /// CHARACTER_MAXIMUM_LENGTH.
    pub length: Option<u64>,
    /// NUMERIC_SCALE.
    pub scale: Option<u64>,
    /// COLUMN_DEFAULT.
    pub default: Option<String>,
}

impl LiveColumns {
    /// This snapshot with the tables of one keyspace replaced by those of its only shard.
    #[must_use]
    pub fn with_keyspace(&self, keyspace: &str, rows: Vec<ColumnRow>) -> Self {
        let seen = Some(Arc::new(SeenTables::new(rows, Vec::new())));
        self.with_shards(keyspace, keyspace, &[ShardTables { shard: "-".to_owned(), seen }])
    }

    /// This snapshot with the tables of one keyspace, which is this database on its servers,
    /// replaced by what its shards have.
    #[must_use]
    pub fn with_shards(&self, keyspace: &str, database: &str, shards: &[ShardTables]) -> Self {
        let others = self.tables.iter().filter(|(table, _)| table.keyspace != keyspace);
        let mut tables: HashMap<TableName, LiveTable> =
            others.map(|(table, live)| (table.clone(), live.clone())).collect();
        for (name, live) in shards::merged(shards) {
            tables.insert(TableName { keyspace: keyspace.to_owned(), name }, live);
        }
        let mut complete = self.complete.clone();
        complete.remove(keyspace);
        if !shards.is_empty() && shards.iter().all(ShardTables::has_tables) {
            complete.insert(keyspace.to_owned());
        }
        let seen = shards.iter().filter_map(|shard| shard.seen.as_deref());
        let views = self.views.with_keyspace(keyspace, database, seen.flat_map(SeenTables::views));
        Self { tables, complete, views }
    }

    /// Whether the servers do not have a table: every shard was seen to have others, and none has
    /// it.
    pub fn lacks(&self, table: &TableName) -> bool {
        !self.tables.contains_key(table) && self.complete.contains(&table.keyspace)
    }

    /// How many tables there are.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether no table was seen.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

impl ColumnSource for LiveColumns {
    fn columns(&self, table: &TableName) -> Option<&[Column]> {
        self.tables.get(table).map(|live| &*live.columns)
    }

    fn differences(&self, table: &TableName) -> Option<&Differences> {
        self.tables.get(table)?.differences.as_deref()
    }

    fn is_view(&self, name: &TableName) -> bool {
        self.views.contains(name)
    }

    fn views_over(&self, tables: &[TableName]) -> Vec<TableName> {
        self.views.over(tables)
    }
}

fn column(row: &ColumnRow) -> Column {
    let sql_type = sql_type(&row.data_type, &row.column_type);
    let values = match sql_type {
        SqlType::Enum | SqlType::Set => members(&row.column_type),
        _ => Vec::new(),
    };
    let number = |number: Option<u64>| number.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let filling = filling(row);
    let constant = |default: &str| (filling == Filling::Constant).then(|| constant(default))?;
    Column {
        name: row.name.clone(),
        sql_type,
        collation: row.collation.clone(),
        default: row.default.as_deref().and_then(constant),
        nullable: row.nullable.eq_ignore_ascii_case("YES"),
        invisible: has_word(&row.extra, "INVISIBLE"),
        size: number(row.length),
        scale: number(row.scale),
        values,
        filling,
        touched: has_word(&row.extra, "on") && has_word(&row.extra, "update"),
    }
}

/// A default as MySQL prints it; MariaDB quotes texts and prints NULL.
fn constant(default: &str) -> Option<String> {
    let quoted = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match quoted {
        Some(text) => Some(text.replace("''", "'")),
        None => (!default.eq_ignore_ascii_case("NULL")).then(|| default.to_owned()),
    }
}

/// MySQL marks expressions in EXTRA; MariaDB quotes texts and prints expressions as they are.
fn filling(row: &ColumnRow) -> Filling {
    let extra = row.extra.to_ascii_lowercase();
    let computed = |default: &str| {
        !default.starts_with('\'') && (default.contains('(') || default.contains('`'))
            || default.to_ascii_lowercase().starts_with("current_timestamp")
    };
    if extra.contains("auto_increment") {
        Filling::Number
    } else if has_word(&row.extra, "GENERATED") {
        Filling::Generated
    } else if extra.contains("default_generated") || row.default.as_deref().is_some_and(computed) {
        Filling::Computed
    } else {
        Filling::Constant
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.into_iter().any(|own| own.eq_ignore_ascii_case(word))
}

/// The type by its name in `DATA_TYPE`. `COLUMN_TYPE` tells what is unsigned.
fn sql_type(data_type: &str, column_type: &str) -> SqlType {
    let integer = |signed: SqlType, unsigned: SqlType| {
        let is_unsigned = has_word(column_type, "unsigned") || has_word(column_type, "zerofill");
        if is_unsigned { unsigned } else { signed }
    };
    match data_type.to_ascii_lowercase().as_str() {
        "tinyint" => integer(SqlType::Int8, SqlType::UInt8),
        "smallint" => integer(SqlType::Int16, SqlType::UInt16),
        "mediumint" => integer(SqlType::Int24, SqlType::UInt24),
        "int" | "integer" => integer(SqlType::Int32, SqlType::UInt32),
        "bigint" => integer(SqlType::Int64, SqlType::UInt64),
        "float" => SqlType::Float32,
        "double" | "double precision" | "real" => SqlType::Float64,
        "decimal" | "numeric" => SqlType::Decimal,
        "bit" => SqlType::Bit,
        "char" | "nchar" => SqlType::Char,
        "varchar" | "nvarchar" => SqlType::VarChar,
        "tinytext" | "text" | "mediumtext" | "longtext" => SqlType::Text,
        "binary" => SqlType::Binary,
        "varbinary" => SqlType::VarBinary,
        "tinyblob" | "blob" | "mediumblob" | "longblob" => SqlType::Blob,
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "datetime" => SqlType::DateTime,
        "timestamp" => SqlType::Timestamp,
        "year" => SqlType::Year,
        "enum" => SqlType::Enum,
        "set" => SqlType::Set,
        "json" => SqlType::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => SqlType::Geometry,
        "vector" => SqlType::Vector,
        _ => SqlType::Unknown,
    }
}

/// The members in `enum('a','it''s')`. Servers print them with doubled quotes, whatever sql_mode.
fn members(column_type: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut rest = column_type;
    while let Some(start) = rest.find('\'') {
        let mut member = String::new();
        let mut chars = rest[start + 1..].char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            if c != '\'' {
                member.push(c);
            } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                member.push('\'');
            } else {
                end = start + 1 + at + 1;
                break;
            }
        }
        members.push(member);
        rest = &rest[end..];
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ReferenceCopies;
    use crate::engine::plan::Primitive;
    use crate::engine::routing::Opcode;
    use crate::planner::input::{PlanInput, Target};
    use crate::sql::mode::LexMode;
    use crate::sql::parse::parse;
    use crate::sql::scan::Scan;
    use crate::vschema::{Sources, Strictness};

    fn row(table: &str, name: &str, position: u64, column_type: &str) -> ColumnRow {
        let word = column_type.find(|c: char| !c.is_ascii_alphanumeric());
        ColumnRow {
            table: table.to_owned(),
            name: name.to_owned(),
            position,
            data_type: column_type[..word.unwrap_or(column_type.len())].to_owned(),
            column_type: column_type.to_owned(),
            nullable: "NO".to_owned(),
            ..ColumnRow::default()
        }
    }

    #[test]
    fn types_of_both_servers_are_known_or_unknown() {
        let cases = [
            ("tinyint(4)", SqlType::Int8),
            ("tinyint(1)", SqlType::Int8),
            ("tinyint(3) unsigned", SqlType::UInt8),
            ("smallint", SqlType::Int16),
            ("smallint unsigned", SqlType::UInt16),
            ("mediumint(9)", SqlType::Int24),
            ("mediumint unsigned", SqlType::UInt24),
            ("int(11)", SqlType::Int32),
            ("int(10) unsigned zerofill", SqlType::UInt32),
            ("bigint", SqlType::Int64),
            ("bigint(20) unsigned", SqlType::UInt64),
            ("float", SqlType::Float32),
            ("double(10,2)", SqlType::Float64),
            ("decimal(10,2) unsigned", SqlType::Decimal),
            ("bit(1)", SqlType::Bit),
            ("char(36)", SqlType::Char),
            ("varchar(40)", SqlType::VarChar),
            ("tinytext", SqlType::Text),
            ("text", SqlType::Text),
            ("mediumtext", SqlType::Text),
            ("longtext", SqlType::Text),
            ("binary(16)", SqlType::Binary),
            ("varbinary(16)", SqlType::VarBinary),
            ("tinyblob", SqlType::Blob),
            ("blob", SqlType::Blob),
            ("mediumblob", SqlType::Blob),
            ("longblob", SqlType::Blob),
            ("date", SqlType::Date),
            ("time(3)", SqlType::Time),
            ("datetime(6)", SqlType::DateTime),
            ("timestamp", SqlType::Timestamp),
            ("year(4)", SqlType::Year),
            ("enum('unsigned')", SqlType::Enum),
            ("set('a')", SqlType::Set),
            ("json", SqlType::Json),
            ("point", SqlType::Geometry),
            ("geomcollection", SqlType::Geometry),
            ("vector(3)", SqlType::Vector),
            ("uuid", SqlType::Unknown),
            ("inet4", SqlType::Unknown),
            ("inet6", SqlType::Unknown),
            ("xmltype", SqlType::Unknown),
            ("type of a plugin", SqlType::Unknown),
        ];
        for (text, expected) in cases {
            assert_eq!(column(&row("t", "c", 1, text)).sql_type, expected, "{text}");
        }
    }

    #[test]
    fn a_column_keeps_what_plans_depend_on() {
        let text = ColumnRow {
            collation: Some("utf8mb4_bin".to_owned()),
            nullable: "YES".to_owned(),
            extra: "INVISIBLE".to_owned(),
            length: Some(40),
            ..row("t", "Name", 1, "varchar(40)")
        };
        let text = column(&text);
        assert_eq!((text.name.as_str(), text.size), ("Name", 40));
        assert_eq!(text.collation.as_deref(), Some("utf8mb4_bin"));
        assert!(text.nullable && text.invisible);
        // LONGTEXT is longer than the field; only BINARY's length counts.
        let long = ColumnRow { length: Some(4_294_967_295), ..row("t", "c", 1, "longtext") };
        assert_eq!(column(&long).size, 0);
        let amount = ColumnRow { scale: Some(2), ..row("t", "c", 1, "decimal(10,2)") };
        assert_eq!(column(&amount).scale, 2);
        let generated = ColumnRow { extra: "STORED GENERATED".to_owned(), ..amount };
        assert!(!column(&generated).invisible);
    }

    #[test]
    fn what_servers_fill_in_themselves_is_known() {
        for (extra, default, expected) in [
            ("", None, Filling::Constant),
            ("", Some("NULL"), Filling::Constant),
            ("", Some("7"), Filling::Constant),
            ("", Some("'a(b)'"), Filling::Constant),
            ("", Some("plain"), Filling::Constant),
            ("", Some("uuid()"), Filling::Computed),
            ("", Some("current_timestamp()"), Filling::Computed),
            ("", Some("CURRENT_TIMESTAMP"), Filling::Computed),
            ("", Some("`a` + 1"), Filling::Computed),
            ("DEFAULT_GENERATED", Some("uuid()"), Filling::Computed),
            ("DEFAULT_GENERATED on update CURRENT_TIMESTAMP", None, Filling::Computed),
            ("auto_increment", None, Filling::Number),
            ("STORED GENERATED", None, Filling::Generated),
            ("VIRTUAL GENERATED INVISIBLE", None, Filling::Generated),
            ("VIRTUAL GENERATED, INVISIBLE", Some("NULL"), Filling::Generated),
        ] {
            let (extra, default) = (extra.to_owned(), default.map(str::to_owned));
            let row = ColumnRow { extra, default, ..row("t", "c", 1, "int") };
            assert_eq!(column(&row).filling, expected, "{row:?}");
        }
        let extra = "on update current_timestamp()".to_owned();
        assert!(column(&ColumnRow { extra, ..row("t", "c", 1, "timestamp") }).touched);
    }

    #[test]
    fn members_are_read_as_servers_print_them() {
        let cases: [(&str, &[&str]); 5] = [
            ("enum('a','b')", &["a", "b"]),
            ("set('it''s','')", &["it's", ""]),
            ("enum('a,b','(c)')", &["a,b", "(c)"]),
            ("enum('''')", &["'"]),
            ("enum('ü')", &["ü"]),
        ];
        for (text, expected) in cases {
            assert_eq!(members(text), expected, "{text}");
        }
    }

    #[test]
    fn a_keyspace_is_replaced_whole_and_others_stay() {
        let rows =
            || vec![row("t", "b", 2, "int"), row("t", "a", 1, "int"), row("u", "a", 1, "date")];
        let first = LiveColumns::default().with_keyspace("one", rows());
        let both = first.with_keyspace("two", rows());
        let name = |keyspace: &str, name: &str| TableName {
            keyspace: keyspace.to_owned(),
            name: name.to_owned(),
        };
        let columns = |live: &LiveColumns, keyspace: &str, table: &str| {
            let columns = live.columns(&name(keyspace, table))?;
            Some(columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(columns(&both, "one", "t").unwrap(), ["a", "b"]);
        assert_eq!(both.with_keyspace("two", rows()), both);
        let less = both.with_keyspace("two", vec![row("u", "a", 1, "date")]);
        assert_eq!(columns(&less, "two", "t"), None);
        assert_eq!((less.len(), columns(&less, "one", "u").unwrap().len()), (3, 1));
        assert!(LiveColumns::default().is_empty());
    }

    /// Where a statement on `t` goes, if it is not refused.
    fn routed(vschema_type: &str, live_type: &str, sql: &str) -> Option<(Opcode, bool)> {
        let vschema = format!(
            r#"{{"sharded": true, "vindexes": {{"xx": {{"type": "xxhash"}}}}, "tables": {{"t": {{
            "column_vindexes": [{{"column": "id", "name": "xx"}}],
            "columns": [{{"name": "id", "type": "{vschema_type}"}}]}}}}}}"#
        );
        let sources = Sources::from_text("ks.json", &vschema);
        let vschema = sources.validate(Strictness::Strict).vschema.unwrap();
        let own = vec![row("t", "id", 1, live_type), row("t", "v", 2, "int")];
        let columns = LiveColumns::default().with_keyspace("ks", own);
        let mut scan = Scan::new();
        scan.run(sql.as_bytes(), LexMode::default()).unwrap();
        let target = Target { keyspace: Some("ks".into()), ..Target::default() };
        let input = PlanInput {
            text: sql.as_bytes(),
            scan: &scan,
            mode: LexMode::default(),
            reference_copies: ReferenceCopies::Kept,
            vschema: &vschema,
            target: &target,
            strictness: Strictness::Strict,
            columns: &columns,
        };
        let tree = parse(sql.as_bytes(), LexMode::default(), &scan).unwrap();
        let plan = crate::planner::plan(&tree, &input).ok()?;
        let Primitive::Route(route) = &plan.root else { return None };
        Some((route.routing.opcode(), route.query.is_verbatim()))
    }

    #[test]
    fn the_servers_type_goes_before_the_vschemas() {
        let read = "SELECT v FROM t WHERE id = 5";
        let write = "INSERT INTO t (id, v) VALUES (5, 1)";
        let one = Some((Opcode::EqualUnique, true));
        for vschema_type in ["NULL_TYPE", "INT64", "VARCHAR"] {
            assert_eq!(routed(vschema_type, "bigint", read), one, "{vschema_type}");
            assert_eq!(routed(vschema_type, "bigint", write), one, "{vschema_type}");
            assert_eq!(routed(vschema_type, "uuid", read), Some((Opcode::Scatter, true)));
            assert_eq!(routed(vschema_type, "uuid", write), None, "{vschema_type}");
        }
    }

    #[test]
    fn an_insert_without_columns_gets_those_it_was_routed_by() {
        let insert = "INSERT INTO t VALUES (5, 1)";
        assert_eq!(routed("INT64", "bigint", insert), Some((Opcode::EqualUnique, false)));
    }
}
