//! Every limit of Geogate, with its name, its unit and its default.
//!
//! A limit that is reached is named in the error (`limit statement_bytes_max exceeded`), so that
//! an operator knows which line of the configuration to look at.

use std::time::Duration;

use serde::Deserialize;

/// Who sits behind a client, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A program.
    Program,
    /// A person (CLIENT_INTERACTIVE).
    Interactive,
}

/// `[limits]`; the field names are the keys of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Client connections that may be open at once.
    pub client_connections_max: usize,
    /// Connections to one server that may be open at once.
    pub server_connections_max: usize,
    /// Milliseconds a statement waits for a free connection to a server.
    pub server_connection_wait_ms: u64,
    /// Milliseconds in which a connection to a server must be made and authenticated.
    pub server_connect_ms: u64,
    /// Milliseconds an unused connection to a server is kept.
    pub server_connection_idle_ms: u64,
    /// Milliseconds a client has to authenticate.
    pub client_handshake_ms: u64,
    /// Milliseconds for which new clients are still let in after SIGTERM, while `/readyz` says that
    /// they should be sent elsewhere.
    pub drain_notice_ms: u64,
    /// Milliseconds that sessions in a transaction may go on when the proxy stops.
    pub drain_ms: u64,
    /// Bytes of a value in the log; the rest is cut off.
    pub log_value_bytes_max: usize,
    /// Clients that have connected and not logged in yet; with more the oldest are given up.
    pub client_logins_max: usize,
    /// Bytes of a packet that a client may send before it has logged in.
    pub client_login_bytes_max: usize,
    /// Connections to the control API that may be open at once; with more the oldest are given up.
    pub control_connections_max: usize,
    /// Milliseconds in which a request to the control API must have come, and for which a
    /// connection to it may be unused.
    pub control_request_ms: u64,
    /// Milliseconds a connection to the control API is kept, for however many requests.
    pub control_connection_ms: u64,
    /// Bytes of the head of a request to the control API.
    pub control_head_bytes_max: usize,
    /// Bytes of the body of a request to the control API, and of the files that it names.
    pub control_body_bytes_max: usize,
    /// Milliseconds a client may be idle between commands, unless it has set `wait_timeout`.
    pub client_idle_ms: u64,
    /// The same for clients that call themselves interactive (CLIENT_INTERACTIVE).
    pub client_interactive_idle_ms: u64,
    /// Milliseconds for which a client may take nothing of its answer.
    pub client_write_timeout_ms: u64,
    /// Milliseconds for which a client may send nothing of a command that it has begun.
    pub client_read_timeout_ms: u64,
    /// Milliseconds for which a client may keep a connection to a server that others wait for,
    /// taking less than 128 KiB of its answer, or sending less of its command.
    pub client_slow_ms: u64,
    /// Milliseconds a statement goes on while nothing comes from its servers and its client has
    /// closed its side, maybe its sending side alone.
    pub client_half_closed_ms: u64,
    /// Milliseconds of silence on a TCP connection, to clients and to servers, before the kernel
    /// asks whether the peer is still there.
    pub tcp_keepalive_ms: u64,
    /// Bytes of connection attributes that are kept of a client.
    pub connection_attributes_bytes_max: usize,
    /// Bytes that one client may make the process hold: commands, prepared statements, long data,
    /// rows of merges and cursors, work on long texts.
    pub client_memory_bytes_max: usize,
    /// Bytes of the process that may be resident; 0 is three quarters of what the machine or the
    /// container has. Clients that need more are refused it, and the largest is ended if others
    /// need little.
    pub memory_bytes_max: usize,
    /// Different sets of attributes named in `proxy.pass_attributes`; clients with further ones
    /// share the connections of those that have none.
    pub passed_attribute_sets_max: usize,
    /// Bytes of one command that is held in memory; longer ones are streamed where the route
    /// does not need the whole text, and refused elsewhere.
    pub statement_bytes_max: usize,
    /// Threads that read and plan statements of more than 64 KiB, beside the workers.
    pub long_statement_threads: usize,
    /// Prepared statements a client may hold open.
    pub client_statements_max: usize,
    /// Prepared statements kept on one server connection.
    pub server_statements_max: usize,
    /// Bytes of COM_STMT_SEND_LONG_DATA that one client may have pending.
    pub long_data_bytes_max: usize,
    /// Bytes of user variables that a session may carry from connection to connection; with more
    /// it keeps one connection.
    pub user_variables_bytes_max: usize,
    /// Plans kept in the plan cache of one generation.
    pub plan_cache_entries: usize,
    /// Bytes of rows one statement may hold in memory while it is merged.
    pub merge_bytes_max: usize,
    /// Rows one statement may hold in memory while it is merged.
    pub merge_rows_max: usize,
    /// Shards one statement may be sent to.
    pub fan_out_max: usize,
    /// Milliseconds a statement may take, for users that have no limit of their own; 0 for none.
    pub statement_timeout_ms: u32,
    /// Milliseconds that servers have to end a statement whose time is over; connections that give
    /// no answer until then are given up.
    pub statement_timeout_grace_ms: u64,
    /// Milliseconds a read that was lost with its server waits for another server that can answer
    /// it, such as a new primary.
    pub lost_read_wait_ms: u64,
    /// Milliseconds LOCK TABLES over several servers waits at each of them.
    pub table_lock_wait_ms: u64,
    /// Milliseconds between two questions of the monitor to a server.
    pub monitor_interval_ms: u64,
    /// Milliseconds in which a server must answer the monitor; two failures make it down.
    pub monitor_timeout_ms: u64,
    /// Milliseconds that a statement, a login or a wait for a connection goes on after its server
    /// was declared down.
    pub server_down_ms: u64,
    /// Milliseconds a replica may be behind and still be read.
    pub replica_lag_max_ms: u64,
    /// The same for `local` reads while the shard has no primary; `eventual` ones take any then.
    pub replica_lag_no_primary_max_ms: u64,
    /// Milliseconds between two looks at the servers' columns, triggers, routines and views; a
    /// definition statement through this proxy causes one at once.
    pub schema_refresh_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client_connections_max: 10_000,
            server_connections_max: 256,
            server_connection_wait_ms: 5_000,
            server_connect_ms: 3_000,
            server_connection_idle_ms: 600_000,
            client_handshake_ms: 10_000,
            drain_notice_ms: 1_000,
            drain_ms: 10_000,
            log_value_bytes_max: 4_096,
            client_logins_max: 2_000,
            client_login_bytes_max: 128 << 10,
            control_connections_max: 64,
            control_request_ms: 10_000,
            control_connection_ms: 300_000,
            control_head_bytes_max: 64 << 10,
            control_body_bytes_max: 16 << 20,
            client_idle_ms: 28_800_000,
            client_interactive_idle_ms: 28_800_000,
            client_write_timeout_ms: 60_000,
            client_read_timeout_ms: 30_000,
            client_slow_ms: 2_000,
            client_half_closed_ms: 5_000,
            tcp_keepalive_ms: 60_000,
            connection_attributes_bytes_max: 4_096,
            client_memory_bytes_max: 512 << 20,
            memory_bytes_max: 0,
            passed_attribute_sets_max: 64,
            statement_bytes_max: 64 << 20,
            long_statement_threads: 2,
            client_statements_max: 16_382,
            server_statements_max: 256,
            long_data_bytes_max: 64 << 20,
            user_variables_bytes_max: 1 << 20,
            plan_cache_entries: 10_000,
            merge_bytes_max: 256 << 20,
            merge_rows_max: 1_000_000,
            fan_out_max: 1_024,
            statement_timeout_ms: 0,
            statement_timeout_grace_ms: 2_000,
            lost_read_wait_ms: 2_000,
            table_lock_wait_ms: 50_000,
            monitor_interval_ms: 500,
            monitor_timeout_ms: 1_000,
            server_down_ms: 2_000,
            replica_lag_max_ms: 30_000,
            replica_lag_no_primary_max_ms: 3_600_000,
            schema_refresh_ms: 60_000,
        }
    }
}

/// Bytes of a request's head that the HTTP library cannot do without.
const HEAD_BYTES_MIN: u64 = 8 << 10;

impl Limits {
    /// What cannot be meant: a line for each limit with which nothing would work.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut at_least = |name: &str, value: u64, least: u64| {
            if value < least {
                problems.push(format!("limits.{name} must be {least} or more"));
            }
        };
        for (name, value) in [
            ("client_connections_max", self.client_connections_max as u64),
            ("server_connections_max", self.server_connections_max as u64),
            ("client_logins_max", self.client_logins_max as u64),
            ("control_connections_max", self.control_connections_max as u64),
            ("client_handshake_ms", self.client_handshake_ms),
            ("server_connect_ms", self.server_connect_ms),
            ("client_write_timeout_ms", self.client_write_timeout_ms),
            ("client_read_timeout_ms", self.client_read_timeout_ms),
            ("client_slow_ms", self.client_slow_ms),
            ("control_request_ms", self.control_request_ms),
            ("control_connection_ms", self.control_connection_ms),
            // Without a pause they would do nothing else.
            ("monitor_interval_ms", self.monitor_interval_ms),
            ("monitor_timeout_ms", self.monitor_timeout_ms),
            ("schema_refresh_ms", self.schema_refresh_ms),
            ("long_statement_threads", self.long_statement_threads as u64),
            ("fan_out_max", self.fan_out_max as u64),
            ("statement_timeout_grace_ms", self.statement_timeout_grace_ms),
        ] {
            at_least(name, value, 1);
        }
        // The kernel counts seconds, and refuses none.
        at_least("tcp_keepalive_ms", self.tcp_keepalive_ms, 1_000);
        at_least("control_head_bytes_max", self.control_head_bytes_max as u64, HEAD_BYTES_MIN);
        problems
    }

    /// How long a statement waits for a free connection to a server.
    pub fn server_connection_wait(&self) -> Duration {
        Duration::from_millis(self.server_connection_wait_ms)
    }

    /// How long connecting to a server may take.
    pub fn server_connect(&self) -> Duration {
        Duration::from_millis(self.server_connect_ms)
    }

    /// How long an unused connection to a server is kept.
    pub fn server_connection_idle(&self) -> Duration {
        Duration::from_millis(self.server_connection_idle_ms)
    }

    /// How long a client has to authenticate.
    pub fn client_handshake(&self) -> Duration {
        Duration::from_millis(self.client_handshake_ms)
    }

    /// How long clients are still let in after SIGTERM.
    pub fn drain_notice(&self) -> Duration {
        Duration::from_millis(self.drain_notice_ms)
    }

    /// How long transactions may go on when the proxy stops.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// How long a request to the control API may take to come.
    pub fn control_request(&self) -> Duration {
        Duration::from_millis(self.control_request_ms)
    }

    /// How long a connection to the control API is kept.
    pub fn control_connection(&self) -> Duration {
        Duration::from_millis(self.control_connection_ms)
    }

    /// How long a client may be idle.
    pub fn client_idle(&self, manner: Manner) -> Duration {
        Duration::from_millis(match manner {
            Manner::Program => self.client_idle_ms,
            Manner::Interactive => self.client_interactive_idle_ms,
        })
    }

    /// How long a client may take nothing of its answer.
    pub fn client_write_timeout(&self) -> Duration {
        Duration::from_millis(self.client_write_timeout_ms)
    }

    /// How long a client may send nothing of a command that it has begun.
    pub fn client_read_timeout(&self) -> Duration {
        Duration::from_millis(self.client_read_timeout_ms)
    }

    /// How long a client may be slow while others wait for its connection.
    pub fn client_slow(&self) -> Duration {
        Duration::from_millis(self.client_slow_ms)
    }

    /// How long a statement of a client goes on that has closed its side.
    pub fn client_half_closed(&self) -> Duration {
        Duration::from_millis(self.client_half_closed_ms)
    }

    /// How long a TCP connection may be silent before its peer is asked.
    pub fn tcp_keepalive(&self) -> Duration {
        Duration::from_millis(self.tcp_keepalive_ms)
    }

    /// How long servers have to end a statement whose time is over.
    pub fn statement_timeout_grace(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_grace_ms)
    }

    /// How long a lost read waits for another server.
    pub fn lost_read_wait(&self) -> Duration {
        Duration::from_millis(self.lost_read_wait_ms)
    }

    /// How long LOCK TABLES over several servers waits at each of them.
    pub fn table_lock_wait(&self) -> Duration {
        Duration::from_millis(self.table_lock_wait_ms)
    }

    /// How often the monitor asks a server.
    pub fn monitor_interval(&self) -> Duration {
        Duration::from_millis(self.monitor_interval_ms)
    }

    /// How long a server may take to answer the monitor.
    pub fn monitor_timeout(&self) -> Duration {
        Duration::from_millis(self.monitor_timeout_ms)
    }

    /// How often the servers' column definitions are read.
    pub fn schema_refresh(&self) -> Duration {
        Duration::from_millis(self.schema_refresh_ms)
    }

    /// How long anything waits for a server that was declared down.
    pub fn server_down(&self) -> Duration {
        Duration::from_millis(self.server_down_ms)
    }

    /// For how long a server may be silent and its answers still count: a little more than the
    /// monitor takes to declare it down.
    pub fn server_silence(&self) -> Duration {
        self.monitor_interval() * 3 / 2 + self.monitor_timeout() * 2
    }

    /// How far behind a replica may be and still be read by `local` without a primary.
    pub fn replica_lag_no_primary_max(&self) -> Duration {
        Duration::from_millis(self.replica_lag_no_primary_max_ms)
    }

    /// How far behind a replica may be and still be read.
    pub fn replica_lag_max(&self) -> Duration {
        Duration::from_millis(self.replica_lag_max_ms)
    }
}
