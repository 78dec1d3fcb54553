//! The words that cannot be a name without quotes.
//!
//! Only words reserved in MySQL 5.7, 8 and MariaDB alike, and those that may directly follow an
//! expression or a table: a word that one server takes as a name must be accepted as one.

/// Whether `word` (any letter case) is reserved.
pub(super) fn is_reserved(word: &[u8]) -> bool {
    if word.len() > 18 {
        return false;
    }
    let lower = word.to_ascii_lowercase();
    SORTED.binary_search_by(|entry| entry.as_bytes().cmp(&lower)).is_ok()
}

/// Reserved words that are functions when a parenthesis follows.
pub(super) fn is_function_word(word: &[u8]) -> bool {
    FUNCTIONS.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}

/// Functions that are called without parentheses.
pub(super) fn is_bare_function(word: &[u8]) -> bool {
    BARE.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}

#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "if", "left", "right", "replace", "insert", "mod", "database", "schema", "values", "char",
    "convert", "repeat", "default", "row", "match", "interval", "utc_date", "utc_time",
    "utc_timestamp", "current_date", "current_time", "current_timestamp", "current_user",
    "localtime", "localtimestamp", "cast", "exists",
];

#[rustfmt::skip]
const BARE: &[&str] = &[
    "current_date", "current_time", "current_timestamp", "current_user", "localtime",
    "localtimestamp", "utc_date", "utc_time", "utc_timestamp",
];

/// In byte order.
#[rustfmt::skip]
const SORTED: &[&str] = &[
    "accessible", "add", "all", "alter", "analyze", "and", "as", "asc", "asensitive", "before",
    "between", "bigint", "binary", "blob", "both", "by", "call", "cascade", "case", "change",
    "char", "character", "check", "collate", "column", "condition", "constraint", "continue",
    "convert", "create", "cross", "current_date", "current_time", "current_timestamp",
    "current_user", "cursor", "database", "databases", "day_hour", "day_microsecond",
    "day_minute", "day_second", "dec", "decimal", "declare", "default", "delayed", "delete",
    "desc", "describe", "deterministic", "distinct", "distinctrow", "div", "double", "drop",
    "dual", "each", "else", "elseif", "enclosed", "escaped", "except", "exists", "exit",
    "explain", "false", "fetch", "float", "float4", "float8", "for", "force", "foreign", "from",
    "fulltext", "grant", "group", "having", "high_priority", "hour_microsecond", "hour_minute",
    "hour_second", "if", "ignore", "in", "index", "infile", "inner", "inout", "insensitive",
    "insert", "int", "int1", "int2", "int3", "int4", "int8", "integer", "intersect", "interval",
    "into", "is", "iterate", "join", "key", "keys", "kill", "leading", "leave", "left", "like",
    "limit", "linear", "lines", "load", "localtime", "localtimestamp", "lock", "long", "longblob",
    "longtext", "loop", "low_priority", "match", "mediumblob", "mediumint", "mediumtext",
    "middleint", "minute_microsecond", "minute_second", "mod", "modifies", "natural",
    "no_write_to_binlog", "not", "null", "numeric", "on", "optimize", "option", "optionally",
    "or", "order", "out", "outer", "outfile", "over", "partition", "precision", "primary",
    "procedure", "purge", "range", "read", "read_write", "reads", "real", "references", "regexp",
    "release", "rename", "repeat", "replace", "require", "resignal", "restrict", "return",
    "returning", "revoke", "right", "rlike", "schema", "schemas", "second_microsecond", "select",
    "sensitive", "separator", "set", "show", "signal", "smallint", "spatial", "specific", "sql",
    "sql_big_result", "sql_calc_found_rows", "sql_small_result", "sqlexception", "sqlstate",
    "sqlwarning", "ssl", "starting", "straight_join", "table", "terminated", "then", "tinyblob",
    "tinyint", "tinytext", "to", "trailing", "trigger", "true", "undo", "union", "unique",
    "unlock", "unsigned", "update", "usage", "use", "using", "utc_date", "utc_time",
    "utc_timestamp", "values", "varbinary", "varchar", "varcharacter", "varying", "when", "where",
    "while", "window", "with", "write", "xor", "year_month", "zerofill",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found_in_any_case() {
        assert!(SORTED.is_sorted_by(|a, b| a < b));
        assert!(is_reserved(b"Select") && is_reserved(b"ZEROFILL") && is_reserved(b"accessible"));
        assert!(!is_reserved(b"rank") && !is_reserved(b"name") && !is_reserved(b"offset"));
    }
}
