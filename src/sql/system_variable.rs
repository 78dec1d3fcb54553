//! The session variables of MySQL (5.7 to 9.x) and MariaDB (10.x to 11.x), and how the value that
//! a client gave to one can be kept when its statements run on several connections.
//!
//! The names are those that servers list with a session scope: `SHOW SESSION VARIABLES`, MariaDB's
//! `information_schema.SYSTEM_VARIABLES`. Variables of the proxy itself are not here.

/// How a session variable is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Its value alone decides what it does, and `DEFAULT` is the value after login: setting the
    /// same value on another connection gives the same session.
    ByValue,
    /// The same, but the value after login depends on the client.
    Charset,
    /// The value of LAST_INSERT_ID().
    LastInsertId,
    /// Counts for the next row with a generated number only.
    NextInsert,
    /// It is more than a value, so the connection stays with the session, for this reason.
    Pins(&'static str),
    /// Only a server changes it.
    ReadOnly,
}

/// Why SET profiling keeps a connection; a server forgets profiles only when it is closed.
pub const PROFILES: &str = "profiles that are collected";

/// Why SET optimizer_trace does; MySQL shows the last trace even after a reset.
pub const TRACES: &str = "optimizer traces that are collected";

/// How the session variable `name` (lower case) is kept; `None` for a name that no server has.
pub fn keeping(name: &str) -> Option<Keeping> {
    Some(match name {
        "character_set_client"
        | "character_set_connection"
        | "character_set_results"
        | "collation_connection" => Keeping::Charset,
        "identity" | "last_insert_id" => Keeping::LastInsertId,
        "insert_id" => Keeping::NextInsert,
        "rand_seed1" | "rand_seed2" => Keeping::Pins("a sequence of RAND() that was seeded"),
        "character_set_database" | "collation_database" => {
            Keeping::Pins("a character set that counts until the next USE")
        }
        "gtid_seq_no" | "gtid_next" | "wsrep_gtid_seq_no" => {
            Keeping::Pins("the GTID of the next transaction")
        }
        // DEFAULT is 0, and not what a login gives.
        "pseudo_thread_id" => Keeping::Pins("SET pseudo_thread_id"),
        "require_row_format" => Keeping::Pins("SET require_row_format, which is for ever"),
        "immediate_server_version" | "original_server_version" | "original_commit_timestamp" => {
            Keeping::Pins("the origin of the next transaction")
        }
        "profiling" => Keeping::Pins(PROFILES),
        "optimizer_trace" => Keeping::Pins(TRACES),
        "debug" | "debug_sync" | "debug_dbug" => Keeping::Pins("a debugging server's hooks"),
        "sql_slave_skip_counter" | "max_relay_log_size" | "default_master_connection" => {
            Keeping::Pins("the replication connection that is chosen")
        }
        "error_count"
        | "external_user"
        | "gtid_owned"
        | "in_transaction"
        | "last_gtid"
        | "max_allowed_packet"
        | "max_user_connections"
        | "net_buffer_length"
        | "proxy_user"
        | "statement_id"
        | "warning_count" => Keeping::ReadOnly,
        // The proxy itself needs it on.
        "session_track_state_change" => Keeping::Pins("SET session_track_state_change"),
        _ => return BY_VALUE.binary_search(&name).ok().map(|_| Keeping::ByValue),
    })
}

/// What all products call the variable `name` today.
pub fn modern_name(name: &str) -> &str {
    match name {
        "tx_isolation" => "transaction_isolation",
        "tx_read_only" => "transaction_read_only",
        other => other,
    }
}

/// In byte order.
#[rustfmt::skip]
const BY_VALUE: &[&str] = &[
    "alter_algorithm", "analyze_max_length", "analyze_sample_percentage", "aria_repair_threads",
    "aria_sort_buffer_size", "aria_stats_method", "auto_increment_increment",
    "auto_increment_offset", "autocommit", "big_tables", "binlog_alter_two_phase",
    "binlog_annotate_row_events", "binlog_direct_non_transactional_updates", "binlog_format",
    "binlog_row_image", "binlog_row_value_options", "binlog_rows_query_log_events",
    "binlog_transaction_compression", "binlog_transaction_compression_level_zstd",
    "block_encryption_mode", "bulk_insert_buffer_size", "character_set_collations",
    "character_set_filesystem", "character_set_server", "check_constraint_checks",
    "collation_server", "column_compression_threshold", "column_compression_zlib_level",
    "column_compression_zlib_strategy", "column_compression_zlib_wrap", "completion_type",
    "connection_memory_chunk_size", "connection_memory_limit", "create_tmp_table_binlog_formats",
    "cte_max_recursion_depth", "deadlock_search_depth_long", "deadlock_search_depth_short",
    "deadlock_timeout_long", "deadlock_timeout_short", "default_collation_for_utf8mb4",
    "default_regex_flags", "default_storage_engine", "default_table_encryption",
    "default_tmp_storage_engine", "default_week_format", "div_precision_increment",
    "enable_cascade_triggers", "enable_secondary_engine_statistics", "end_markers_in_json",
    "enforce_storage_engine", "engine_condition_pushdown", "eq_range_index_dive_limit",
    "expensive_subquery_limit", "explain_format", "explain_json_format_version",
    "explicit_defaults_for_timestamp", "external_table_secondary_storage_engine",
    "external_table_storage_engine", "foreign_key_checks", "generated_random_password_length",
    "global_connection_memory_tracking", "group_concat_max_len", "group_replication_consistency",
    "gtid_domain_id", "histogram_generation_max_mem_size", "histogram_size", "histogram_type",
    "idle_readonly_transaction_timeout", "idle_transaction_timeout",
    "idle_write_transaction_timeout", "in_predicate_conversion_threshold",
    "information_schema_stats_expiry", "innodb_compression_default", "innodb_ddl_buffer_size",
    "innodb_ddl_threads", "innodb_default_encryption_key_id", "innodb_fake_changes",
    "innodb_ft_enable_stopword", "innodb_ft_user_stopword_table", "innodb_lock_wait_timeout",
    "innodb_parallel_read_threads", "innodb_snapshot_isolation", "innodb_strict_mode",
    "innodb_support_xa", "innodb_table_locks", "innodb_tmpdir", "interactive_timeout",
    "internal_tmp_mem_storage_engine", "join_buffer_size", "join_buffer_space_limit",
    "join_cache_level", "keep_files_on_create", "lc_messages", "lc_time_names",
    "lock_wait_timeout", "log_disabled_statements", "log_queries_not_using_indexes",
    "log_slow_admin_statements", "log_slow_always_query_time", "log_slow_disabled_statements",
    "log_slow_extra", "log_slow_filter", "log_slow_max_warnings",
    "log_slow_min_examined_row_limit", "log_slow_query", "log_slow_query_time",
    "log_slow_rate_limit", "log_slow_slave_statements", "log_slow_verbosity", "log_warnings",
    "long_query_time", "low_priority_updates", "max_delayed_threads", "max_error_count",
    "max_execution_time", "max_heap_table_size", "max_insert_delayed_threads", "max_join_size",
    "max_length_for_sort_data", "max_points_in_geometry", "max_recursive_iterations",
    "max_rowid_filter_size", "max_seeks_for_key", "max_session_mem_used", "max_sort_length",
    "max_sp_recursion_depth", "max_statement_time", "max_tmp_tables", "mhnsw_default_distance",
    "mhnsw_default_m", "mhnsw_ef_search", "min_examined_row_limit", "mrr_buffer_size",
    "multi_range_count", "myisam_repair_threads", "myisam_sort_buffer_size",
    "myisam_stats_method", "ndb_allow_copying_alter_table", "ndb_autoincrement_prefetch_sz",
    "ndb_batch_size", "ndb_blob_read_batch_bytes", "ndb_blob_write_batch_bytes",
    "ndb_deferred_constraints", "ndb_distribution", "ndb_force_send", "ndb_fully_replicated",
    "ndb_index_stat_enable", "ndb_join_pushdown", "ndb_log_bin", "ndb_optimized_node_selection",
    "ndb_replica_blob_write_batch_bytes", "ndb_row_checksum", "ndb_table_no_logging",
    "ndb_table_temporary", "ndb_use_exact_count", "ndb_use_transactions", "ndbinfo_max_bytes",
    "ndbinfo_max_rows", "ndbinfo_show_hidden", "net_read_timeout", "net_retry_count",
    "net_write_timeout", "new_mode", "note_verbosity", "old", "old_alter_table", "old_mode",
    "old_passwords", "optimizer_adjust_secondary_key_costs", "optimizer_disk_read_cost",
    "optimizer_extra_pruning_depth", "optimizer_join_limit_pref_ratio",
    "optimizer_max_sel_arg_weight", "optimizer_max_sel_args", "optimizer_max_subgraph_pairs",
    "optimizer_prune_level", "optimizer_record_context", "optimizer_search_depth",
    "optimizer_selectivity_sampling_limit", "optimizer_switch", "optimizer_trace_features",
    "optimizer_trace_limit", "optimizer_trace_max_mem_size", "optimizer_trace_offset",
    "optimizer_use_condition_selectivity", "parser_max_mem_size", "preload_buffer_size",
    "print_identified_with_as_hex", "profiling_history_size", "progress_report_time",
    "pseudo_replica_mode", "pseudo_slave_mode", "query_alloc_block_size",
    "query_cache_strip_comments", "query_cache_type", "query_cache_wlock_invalidate",
    "query_prealloc_size", "range_alloc_block_size", "range_optimizer_max_mem_size",
    "rbr_exec_mode", "read_buffer_size", "read_rnd_buffer_size",
    "restrict_fk_on_non_standard_key", "resultset_metadata", "rowid_merge_buff_size",
    "secondary_engine_cost_threshold",
    "select_into_buffer_size", "select_into_disk_sync", "select_into_disk_sync_delay",
    "server_id", "session_track_gtids", "session_track_schema", "session_track_system_variables",
    "session_track_transaction_info", "set_operations_buffer_size",
    "show_create_table_skip_secondary_engine", "show_create_table_verbosity",
    "show_gipk_in_create_table_and_information_schema", "show_old_temporals",
    "skip_parallel_replication", "skip_replication", "slow_query_log", "sort_buffer_size",
    "sql_auto_is_null", "sql_big_selects", "sql_big_tables", "sql_buffer_result",
    "sql_generate_invisible_primary_key", "sql_if_exists", "sql_log_bin", "sql_log_off",
    "sql_low_priority_updates", "sql_max_join_size", "sql_mode", "sql_notes",
    "sql_quote_show_create", "sql_require_primary_key", "sql_safe_updates", "sql_select_limit",
    "sql_warnings", "standard_compliant_cte", "storage_engine", "system_versioning_alter_history",
    "system_versioning_asof", "system_versioning_insert_history", "tcp_nodelay",
    "terminology_use_previous", "thread_pool_high_priority_connection", "thread_pool_priority",
    "time_zone", "timestamp", "tmp_disk_table_size", "tmp_memory_table_size", "tmp_table_size",
    "transaction_alloc_block_size", "transaction_allow_batching", "transaction_isolation",
    "transaction_prealloc_size", "transaction_read_only", "unique_checks",
    "updatable_views_with_limit", "use_secondary_engine", "use_stat_tables", "wait_timeout",
    "windowing_use_high_precision", "wsrep_causal_reads", "wsrep_dirty_reads", "wsrep_on",
    "wsrep_osu_method", "wsrep_retry_autocommit", "wsrep_sync_wait", "wsrep_trx_fragment_size",
    "wsrep_trx_fragment_unit", "xa_detach_on_prepare",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_in_one_class_only() {
        assert!(BY_VALUE.is_sorted(), "binary search needs order");
        for name in BY_VALUE {
            assert_eq!(keeping(name), Some(Keeping::ByValue), "{name}");
        }
        assert_eq!(keeping("max_connections"), None, "a global variable");
        assert_eq!(keeping(modern_name("tx_isolation")), Some(Keeping::ByValue));
    }
}
