//! The functions that MySQL or MariaDB bring along, and the other words that a parenthesis may
//! follow. A call of anything else may be a stored function.

use std::cmp::Ordering;

/// Whether `name` (any letter case) is a built-in function, or a word that is no function.
pub(crate) fn is_builtin(name: &[u8]) -> bool {
    SORTED.binary_search_by(|entry| compare(entry.as_bytes(), name)).is_ok()
}

/// Compares a lower-case entry with a word of any letter case.
fn compare(entry: &[u8], word: &[u8]) -> Ordering {
    for (a, b) in entry.iter().zip(word) {
        match a.cmp(&b.to_ascii_lowercase()) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    entry.len().cmp(&word.len())
}

/// In byte order, lower case.
#[rustfmt::skip]
const SORTED: &[&str] = &[
    "abs", "acos", "adddate", "addtime", "aes_decrypt", "aes_encrypt", "against", "all", "and",
    "any", "any_value", "array", "as", "asc", "ascii", "asin", "atan", "atan2", "avg",
    "benchmark", "between", "bigint", "bin", "bin_to_uuid", "binary", "bit", "bit_and",
    "bit_count", "bit_length", "bit_or", "bit_xor", "blob", "bool", "boolean", "by",
    "can_access_column", "can_access_database", "can_access_table", "can_access_user",
    "can_access_view", "case", "cast", "ceil", "ceiling", "char", "char_length", "character",
    "character_length", "charset", "check", "chr", "coalesce", "coercibility", "collate",
    "collation", "column_add", "column_check", "column_create", "column_delete", "column_exists",
    "column_get", "column_json", "column_list", "columns", "compress", "concat", "concat_ws",
    "connection_id", "conv", "convert", "convert_tz", "cos", "cot", "count", "crc32", "crc32c",
    "cross", "cube", "cume_dist", "curdate", "current_date", "current_role", "current_time",
    "current_timestamp", "current_user", "curtime", "database", "date", "date_add", "date_format",
    "date_sub", "datediff", "datetime", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear",
    "decimal", "decode", "decode_histogram", "decode_oracle", "default", "degrees", "dense_rank",
    "des_decrypt", "des_encrypt", "desc", "distance", "distinct", "distinctrow", "div", "double",
    "dual", "else", "elt", "encode", "encrypt", "enum", "escape", "except", "exists", "exp",
    "export_set", "extract", "extractvalue", "field", "find_in_set", "first_value", "fixed",
    "float", "floor", "for", "force", "format", "format_bytes", "format_pico_time", "found_rows",
    "from", "from_base64", "from_days", "from_unixtime", "from_vector", "fulltext",
    "geomcollection", "geometrycollection", "get_format", "get_lock", "greatest", "group_concat",
    "grouping", "gtid_subset", "gtid_subtract", "having", "hex", "hour", "icu_version", "if",
    "ifnull", "ignore", "in", "index", "inet6_aton", "inet6_ntoa", "inet_aton", "inet_ntoa",
    "inner", "insert", "instr", "int", "integer", "intersect", "interval", "into", "is",
    "is_free_lock", "is_ipv4", "is_ipv4_compat", "is_ipv4_mapped", "is_ipv6", "is_used_lock",
    "is_uuid", "isnull", "join", "json_array", "json_array_append", "json_array_insert",
    "json_array_intersect", "json_arrayagg", "json_compact", "json_contains",
    "json_contains_path", "json_depth", "json_detailed", "json_equals", "json_exists",
    "json_extract", "json_insert", "json_keys", "json_length", "json_loose", "json_merge",
    "json_merge_patch", "json_merge_preserve", "json_normalize", "json_object",
    "json_object_filter_keys", "json_object_to_array", "json_objectagg", "json_overlaps",
    "json_pretty", "json_query", "json_quote", "json_remove", "json_replace", "json_schema_valid",
    "json_schema_validation_report", "json_search", "json_set", "json_storage_free",
    "json_storage_size", "json_table", "json_type", "json_unquote", "json_valid", "json_value",
    "kdf", "key", "lag", "last_day", "last_insert_id", "last_value", "lastval", "lateral",
    "lcase", "lead", "least", "left", "length", "lengthb", "like", "limit", "line", "linestring",
    "ln", "load_file", "localtime", "localtimestamp", "locate", "log", "log10", "log2", "lower",
    "lpad", "lpad_oracle", "ltrim", "ltrim_oracle", "make_set", "makedate", "maketime",
    "master_gtid_wait", "master_pos_wait", "match", "max", "mbrcontains", "mbrcoveredby",
    "mbrcovers", "mbrdisjoint", "mbrequal", "mbrequals", "mbrintersects", "mbroverlaps",
    "mbrtouches", "mbrwithin", "md5", "median", "mediumint", "member", "microsecond", "mid",
    "min", "minus", "minute", "mod", "month", "monthname", "multilinestring", "multipoint",
    "multipolygon", "name_const", "natural_sort_key", "nchar", "nextval", "not", "now",
    "nth_value", "ntile", "nullif", "numeric", "nvarchar", "nvl", "nvl2", "oct", "octet_length",
    "of", "offset", "on", "or", "ord", "order", "outer", "over", "partition", "password",
    "percent_rank", "percentile_cont", "percentile_disc", "period_add", "period_diff", "pi",
    "point", "polygon", "position", "pow", "power", "primary", "procedure",
    "ps_current_thread_id", "ps_thread_id", "quarter", "quote", "radians", "rand", "random_bytes",
    "range", "rank", "references", "regexp", "regexp_instr", "regexp_like", "regexp_replace",
    "regexp_substr", "release_all_locks", "release_lock", "repeat", "replace", "replace_oracle",
    "return", "returning", "reverse", "right", "rlike", "roles_graphml", "rollup", "round", "row",
    "row_count", "row_number", "rownum", "rows", "rpad", "rpad_oracle", "rtrim", "rtrim_oracle",
    "schema", "sec_to_time", "second", "select", "session_user", "set", "setval", "sformat",
    "sha", "sha1", "sha2", "sign", "signed", "sin", "sleep", "smallint", "some", "soundex",
    "sounds", "source_pos_wait", "space", "sql_error", "sql_thread_wait_after_gtids", "sqrt",
    "st_area", "st_asbinary", "st_asgeojson", "st_astext", "st_aswkb", "st_aswkt", "st_boundary",
    "st_buffer", "st_buffer_strategy", "st_centroid", "st_collect", "st_contains",
    "st_convexhull", "st_crosses", "st_difference", "st_dimension", "st_disjoint", "st_distance",
    "st_distance_sphere", "st_endpoint", "st_envelope", "st_equals", "st_exteriorring",
    "st_frechetdistance", "st_geohash", "st_geomcollfromtext", "st_geomcollfromtxt",
    "st_geomcollfromwkb", "st_geometrycollectionfromtext", "st_geometrycollectionfromwkb",
    "st_geometryfromtext", "st_geometryfromwkb", "st_geometryn", "st_geometrytype",
    "st_geomfromgeojson", "st_geomfromtext", "st_geomfromwkb", "st_hausdorffdistance",
    "st_interiorringn", "st_intersection", "st_intersects", "st_isclosed", "st_isempty",
    "st_isring", "st_issimple", "st_isvalid", "st_latfromgeohash", "st_latitude", "st_length",
    "st_linefromtext", "st_linefromwkb", "st_lineinterpolatepoint", "st_lineinterpolatepoints",
    "st_linestringfromtext", "st_linestringfromwkb", "st_longfromgeohash", "st_longitude",
    "st_makeenvelope", "st_mlinefromtext", "st_mlinefromwkb", "st_mpointfromtext",
    "st_mpointfromwkb", "st_mpolyfromtext", "st_mpolyfromwkb", "st_multilinestringfromtext",
    "st_multilinestringfromwkb", "st_multipointfromtext", "st_multipointfromwkb",
    "st_multipolygonfromtext", "st_multipolygonfromwkb", "st_numgeometries", "st_numinteriorring",
    "st_numinteriorrings", "st_numpoints", "st_overlaps", "st_pointatdistance",
    "st_pointfromgeohash", "st_pointfromtext", "st_pointfromwkb", "st_pointn",
    "st_pointonsurface", "st_polyfromtext", "st_polyfromwkb", "st_polygonfromtext",
    "st_polygonfromwkb", "st_relate", "st_simplify", "st_srid", "st_startpoint", "st_swapxy",
    "st_symdifference", "st_touches", "st_transform", "st_union", "st_validate", "st_within",
    "st_x", "st_y", "statement_digest", "statement_digest_text", "std", "stddev", "stddev_pop",
    "stddev_samp", "str_to_date", "straight_join", "strcmp", "subdate", "substr", "substr_oracle",
    "substring", "substring_index", "subtime", "sum", "sys_guid", "sysdate", "system_user",
    "table", "tan", "text", "then", "time", "time_format", "time_to_sec", "timediff", "timestamp",
    "timestampadd", "timestampdiff", "tinyint", "to", "to_base64", "to_char", "to_days",
    "to_number", "to_seconds", "to_vector", "trim", "trim_oracle", "truncate", "ucase",
    "uncompress", "uncompressed_length", "unhex", "union", "unique", "unix_timestamp", "unsigned",
    "update", "updatexml", "upper", "use", "user", "using", "utc_date", "utc_time",
    "utc_timestamp", "uuid", "uuid_short", "uuid_to_bin", "uuid_v4", "uuid_v7",
    "validate_password_strength", "value", "values", "var_pop", "var_samp", "varbinary",
    "varchar", "variance", "vec_distance", "vec_distance_cosine", "vec_distance_euclidean",
    "vec_fromtext", "vec_totext", "vector", "vector_dim", "version", "vindex",
    "wait_for_executed_gtid_set", "wait_until_sql_thread_after_gtids", "week", "weekday",
    "weekofyear", "weight_string", "when", "where", "window", "with", "wsrep_last_seen_gtid",
    "wsrep_last_written_gtid", "wsrep_sync_wait_upto_gtid", "xor", "year", "yearweek",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found_in_any_case() {
        assert!(SORTED.is_sorted_by(|a, b| a < b));
        for name in SORTED {
            assert!(is_builtin(name.to_ascii_uppercase().as_bytes()), "{name}");
        }
        assert!(!is_builtin(b"my_function") && !is_builtin(b"") && !is_builtin(b"coun"));
    }
}
