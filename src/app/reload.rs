//! What a changed configuration changes without a restart, and what it does not.
//!
//! A configuration with a mistake changes nothing. Certificates are read again whatever the text
//! says: they are renewed under the same name.

use std::sync::Arc;

use super::{App, StartError, policy};
use crate::config::{Config, Limits};
use crate::control::Rules;

/// What came of a reload, in the names of the configuration's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Changed keys that hold from now on.
    pub changed: Vec<&'static str>,
    /// Changed keys that hold after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl App {
    /// Takes over what can be taken over while clients are served.
    pub fn reload(&self, new: &Config) -> Result<Reloaded, StartError> {
        let mut current = self.config.lock();
        // What may fail comes first: a wrong hash, a certificate.
        let accounts = self.services.accounts.load().with_users(&new.users);
        let accounts = accounts.map_err(|problems| StartError(problems.join("\n")))?;
        self.frontend.set_policy(policy(new, &self.services.server_version)?);
        self.control.rules.store(Arc::new(Rules::of(new)));
        let reloaded = take_over(&mut current, new);
        self.services.accounts.store(Arc::new(accounts));
        // Those that descriptors were counted for stay as they were lowered.
        let before = self.services.limits.load_full();
        self.services.limits.store(Arc::new(Limits {
            client_connections_max: before.client_connections_max,
            client_logins_max: before.client_logins_max,
            ..current.limits.clone()
        }));
        Ok(reloaded)
    }
}

/// Writes a list of the keys whose values differ.
macro_rules! differing {
    ($old:ident, $new:ident: $($key:literal = $($field:ident).+;)*) => {{
        let keys = [$(($key, $old.$($field).+ != $new.$($field).+)),*];
        keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }};
}

/// Writes the same list, and takes the values over.
macro_rules! taking {
    ($old:ident, $new:ident: $($key:literal = $($field:ident).+;)*) => {{
        let keys: Vec<&'static str> = differing! { $old, $new: $($key = $($field).+;)* };
        $($old.$($field).+.clone_from(&$new.$($field).+);)*
        keys
    }};
}

fn take_over(old: &mut Config, new: &Config) -> Reloaded {
    let needs_restart = needs_restart(old, new);
    Reloaded { changed: [taken(old, new), taken_limits(old, new)].concat(), needs_restart }
}

fn taken(old: &mut Config, new: &Config) -> Vec<&'static str> {
    taking! { old, new:
        "listen.proxy_protocol" = listen.trusted_proxies;
        "listen.compression" = listen.compression;
        "listen.collation" = listen.collation;
        "control.token" = tokens;
        "control.unready_without_primary" = unready_without;
        "tls" = tls;
        "user" = users;
    }
}

/// Those of sessions, which sessions have that begin from now on, and of logins.
fn taken_limits(old: &mut Config, new: &Config) -> Vec<&'static str> {
    taking! { old, new:
        "limits.client_handshake_ms" = limits.client_handshake_ms;
        "limits.drain_notice_ms" = limits.drain_notice_ms;
        "limits.drain_ms" = limits.drain_ms;
        "limits.client_login_bytes_max" = limits.client_login_bytes_max;
        "limits.client_idle_ms" = limits.client_idle_ms;
        "limits.client_interactive_idle_ms" = limits.client_interactive_idle_ms;
        "limits.client_write_timeout_ms" = limits.client_write_timeout_ms;
        "limits.client_read_timeout_ms" = limits.client_read_timeout_ms;
        "limits.client_slow_ms" = limits.client_slow_ms;
        "limits.client_half_closed_ms" = limits.client_half_closed_ms;
        "limits.statement_timeout_ms" = limits.statement_timeout_ms;
        "limits.lost_read_wait_ms" = limits.lost_read_wait_ms;
        "limits.statement_timeout_grace_ms" = limits.statement_timeout_grace_ms;
        "limits.connection_attributes_bytes_max" = limits.connection_attributes_bytes_max;
        "limits.statement_bytes_max" = limits.statement_bytes_max;
        "limits.client_statements_max" = limits.client_statements_max;
        "limits.long_data_bytes_max" = limits.long_data_bytes_max;
        "limits.user_variables_bytes_max" = limits.user_variables_bytes_max;
        "limits.merge_bytes_max" = limits.merge_bytes_max;
        "limits.merge_rows_max" = limits.merge_rows_max;
        "limits.fan_out_max" = limits.fan_out_max;
        "limits.table_lock_wait_ms" = limits.table_lock_wait_ms;
        "limits.replica_lag_max_ms" = limits.replica_lag_max_ms;
        "limits.replica_lag_no_primary_max_ms" = limits.replica_lag_no_primary_max_ms;
    }
}

fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    differing! { old, new:
        "proxy.region" = region;
        "proxy.workers" = workers;
        "proxy.consistent_snapshot" = consistent_snapshot;
        "proxy.reference_copies" = reference_copies;
        "proxy.split_brain" = split_brain;
        "proxy.pass_attributes" = pass_attributes;
        "listen.mysql" = listen.addresses;
        "listen.socket" = listen.socket;
        "listen.server_version" = listen.server_version;
        "control.address" = control;
        "control.state" = state;
        "vschema.path" = vschema;
        "backend" = backend;
        "region" = regions;
        "region.clients" = client_regions;
        "keyspace" = keyspaces;
        "limits.client_connections_max" = limits.client_connections_max;
        "limits.server_connections_max" = limits.server_connections_max;
        "limits.server_connection_wait_ms" = limits.server_connection_wait_ms;
        "limits.server_connect_ms" = limits.server_connect_ms;
        "limits.server_connection_idle_ms" = limits.server_connection_idle_ms;
        "limits.log_value_bytes_max" = limits.log_value_bytes_max;
        "limits.client_logins_max" = limits.client_logins_max;
        "limits.control_connections_max" = limits.control_connections_max;
        "limits.control_request_ms" = limits.control_request_ms;
        "limits.control_connection_ms" = limits.control_connection_ms;
        "limits.control_head_bytes_max" = limits.control_head_bytes_max;
        "limits.control_body_bytes_max" = limits.control_body_bytes_max;
        "limits.tcp_keepalive_ms" = limits.tcp_keepalive_ms;
        "limits.passed_attribute_sets_max" = limits.passed_attribute_sets_max;
        "limits.server_statements_max" = limits.server_statements_max;
        "limits.plan_cache_entries" = limits.plan_cache_entries;
        "limits.client_memory_bytes_max" = limits.client_memory_bytes_max;
        "limits.memory_bytes_max" = limits.memory_bytes_max;
        "limits.long_statement_threads" = limits.long_statement_threads;
        "limits.monitor_interval_ms" = limits.monitor_interval_ms;
        "limits.monitor_timeout_ms" = limits.monitor_timeout_ms;
        "limits.server_down_ms" = limits.server_down_ms;
        "limits.schema_refresh_ms" = limits.schema_refresh_ms;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const TEXT: &str = "[vschema]\npath = \"vschema\"\n[backend]\nuser = \"u\"\npassword = \"a\"\n\
         [[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
         address = \"127.0.0.1:1\"\n";

    /// Every limit is in one list.
    #[test]
    fn every_limit_is_listed() {
        let is_row = |line: &&str| line.trim_start().starts_with("\"limits.") && line.contains('=');
        let listed = include_str!("reload.rs").lines().filter(is_row).count();
        let shown = format!("{:?}", Limits::default());
        assert_eq!(listed, shown.matches(": ").count(), "{shown}");
    }

    #[test]
    fn changed_keys_are_named() {
        let read = |text: &str| parse(text, Path::new("/etc/geogate")).unwrap();
        let mut old = read(TEXT);
        let none = Reloaded { changed: Vec::new(), needs_restart: Vec::new() };
        assert_eq!(take_over(&mut old, &read(TEXT)), none);
        let new = TEXT.replace("\"a\"", "\"b\"").replace("127.0.0.1:1", "127.0.0.1:2");
        let new = new
            + "[tls]\nmode = \"required\"\n[[control.token]]\ntoken = \"t\"\n\
                         role = \"admin\"\n[limits]\nfan_out_max = 7\nmonitor_interval_ms = 7\n\
                         [[user]]\nname = \"u\"\npassword = \"u\"\n";
        let found = take_over(&mut old, &read(&new));
        assert_eq!(found.changed, ["control.token", "tls", "user", "limits.fan_out_max"]);
        let restart = ["backend", "keyspace", "limits.monitor_interval_ms"];
        assert_eq!(found.needs_restart, restart);
        let again = take_over(&mut old, &read(&new));
        assert_eq!(again.changed, [""; 0], "they are taken over");
        assert_eq!(again.needs_restart, restart);
    }
}
