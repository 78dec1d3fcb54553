//! The catalogue: every error that Geogate itself raises, in one table.
//!
//! A row gives our id, the MySQL error number and SQLSTATE that drivers understand, the text, and
//! one sentence of advice. `{}` in the text is filled from the arguments of [`Entry::with`].
//! Ids are grouped as Vitess groups its own: 03 invalid argument, 05 not found, 06 already exists,
//! 09 precondition failed, 10 aborted, 12 unsupported, 13 internal, 14 unavailable, 15 transaction.

use std::fmt::Display;

use super::{Origin, SqlError};

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Our id, `GG` and five digits.
    pub id: &'static str,
    /// MySQL error number.
    pub errno: u16,
    /// SQLSTATE.
    pub sqlstate: &'static [u8; 5],
    /// Who is to blame.
    pub origin: Origin,
    /// Text with `{}` for each argument.
    pub text: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

impl Entry {
    /// The error of this row, its text filled with `args` in order.
    pub fn with(&self, args: &[&(dyn Display + Sync)]) -> SqlError {
        self.advising(args, self.advice)
    }

    /// The same with advice for this very statement.
    pub fn advising(&self, args: &[&(dyn Display + Sync)], advice: &str) -> SqlError {
        let mut text = String::with_capacity(self.text.len() + 32);
        let mut args = args.iter();
        let mut rest = self.text;
        while let Some((before, after)) = rest.split_once("{}") {
            text.push_str(before);
            match args.next() {
                Some(arg) => text.push_str(&arg.to_string()),
                None => text.push_str("{}"),
            }
            rest = after;
        }
        text.push_str(rest);
        let message = format!("{}: {text} ({advice})", self.id);
        SqlError {
            id: Some(self.id),
            errno: self.errno,
            sqlstate: *self.sqlstate,
            message: message.into_bytes(),
            origin: self.origin,
        }
    }

    /// The error of a row whose text has no arguments.
    pub fn error(&self) -> SqlError {
        self.with(&[])
    }
}

/// Writes the constants and the list [`ALL`] from one table, so that they cannot drift apart.
macro_rules! catalog {
    ($($name:ident = $id:literal, $errno:literal, $state:literal, $origin:ident,
        $text:literal, $advice:literal;)*) => {
        $(
            #[doc = concat!($id, ": ", $text)]
            pub const $name: Entry = Entry {
                id: $id, errno: $errno, sqlstate: $state, origin: Origin::$origin,
                text: $text, advice: $advice,
            };
        )*
        /// Every row, in the order of the table.
        pub const ALL: &[Entry] = &[$($name),*];
    };
}

catalog! {
    // 03: invalid argument
    MALFORMED_PACKET = "GG03001", 1835, b"HY000", Client,
        "malformed communication packet: {}", "the connection is closed because its state is unknown; check the client library";
    UNKNOWN_COMMAND = "GG03002", 1047, b"08S01", Client,
        "unknown command {}", "Geogate does not serve this protocol command";
    SYNTAX = "GG03003", 1064, b"42000", Client,
        "syntax error: {}", "correct the statement, or write this part another way";
    UNKNOWN_STATEMENT_ID = "GG03004", 1243, b"HY000", Client,
        "unknown prepared statement handler ({}) given to {}", "prepare the statement on this connection first";
    NO_CURSOR = "GG03011", 1421, b"HY000", Client,
        "the statement ({}) has no open cursor", "execute it with a cursor type first; the end of the rows and COM_STMT_RESET close a cursor";
    WRONG_PARAMETERS = "GG03005", 1210, b"HY000", Client,
        "incorrect arguments to {}", "bind a value to every parameter of the statement";
    OUT_OF_ORDER = "GG03006", 1156, b"08S01", Client,
        "got packets out of order", "the connection is closed because its state is unknown; check the client library";
    PACKET_TOO_LARGE = "GG03007", 1153, b"08S01", Client,
        "got a packet bigger than limits.statement_bytes_max ({})", "raise the limit or send less in one statement";
    WRONG_VALUE = "GG03040", 1231, b"42000", Client,
        "variable '{}' can't be set to the value of '{}'", "SHOW VARIABLES LIKE shows the present value; the manual lists the others";
    READ_ONLY_VARIABLE = "GG03041", 1238, b"HY000", Client,
        "variable '{}' is a read only variable", "read it with SELECT @@; it tells about the last statement";

    INVALID_PERCENT = "GG03010", 1231, b"42000", Client,
        "{}", "write SET CANARY PERCENT = 5";
    BAD_TARGET = "GG03008", 1102, b"42000", Client,
        "incorrect target '{}': {}", "write keyspace, keyspace:shard, keyspace[40-80] or keyspace@replica";

    // 05: not found
    UNKNOWN_KEYSPACE = "GG05003", 1049, b"42000", Client,
        "unknown database '{}'", "SHOW DATABASES lists the keyspaces";
    UNKNOWN_TABLE = "GG05004", 1146, b"42S02", Client,
        "table {} not found in the VSchema", "add it to the VSchema or qualify it with its keyspace";
    NO_KEYSPACE = "GG05005", 1046, b"3D000", Client,
        "no database selected", "USE a keyspace, or qualify the table with it";

    UNKNOWN_SHARD = "GG05010", 1049, b"42000", Client,
        "shard '{}' does not exist", "SHOW VITESS_SHARDS lists the shards";

    // 09: precondition failed
    UNROUTABLE_VALUE = "GG09010", 1235, b"42000", Client,
        "cannot choose a shard by this value: {}", "route by a value that the vindex maps to a shard";
    BAD_HANDSHAKE = "GG03009", 1043, b"08S01", Client,
        "bad handshake: {}", "check the client library, and that it uses TLS only where it is offered";
    OLD_CLIENT = "GG09004", 1251, b"08004", Client,
        "client does not support the authentication protocol that the account needs", "use a newer client library, or give the account a native hash";
    PROXY_NOT_TRUSTED = "GG09005", 1130, b"HY000", Client,
        "host '{}' may not send a PROXY protocol header", "name its network in listen.proxy_protocol";
    USER_LIMIT = "GG09006", 1226, b"42000", Client,
        "user '{}' has exceeded the 'connections_max' resource (current value: {})", "close connections, or raise connections_max of the [[user]]";
    INSECURE_AUTH = "GG09002", 3159, b"HY000", Client,
        "connections using insecure transport are prohibited", "connect with TLS";
    AMBIGUOUS_TABLE = "GG09003", 1052, b"23000", Client,
        "ambiguous table reference: {}", "qualify the table with its keyspace";
    AMBIGUOUS_VINDEX = "GG09020", 1052, b"23000", Client,
        "ambiguous vindex reference: {}", "qualify the vindex with its keyspace";
    TABLE_DISABLED = "GG09021", 1146, b"42S02", Client,
        "table {} has been disabled", "its routing rule has no target; the operator took it out of service";
    BROKEN_ROUTING_RULE = "GG09022", 1105, b"HY000", Client,
        "broken routing rule: {}", "correct the routing rules; this VSchema was loaded leniently";
    REPLICA_TARGET = "GG09040", 1290, b"HY000", Client,
        "the session reads from replicas (USE ..@{}), which take no writes and no locks", "USE keyspace, without the role, or with @primary";

    NOT_OPERATOR = "GG09031", 1227, b"42000", Client,
        "access denied; user '{}' is not an operator", "set operator = true for the [[user]], or use geogate canary";
    VSCHEMA_CHANGE_REFUSED = "GG09032", 1105, b"HY000", Client,
        "the change was refused: {}", "geogate canary status shows what is in service";
    NOT_A_SEQUENCE = "GG09012", 1105, b"HY000", Client,
        "table {} has not the one row of a sequence", "create it with columns id, next_id, cache and insert the row (0, 1, 1000)";

    NO_CANDIDATE = "GG09011", 1105, b"HY000", Client,
        "no canary runs, so there is no candidate generation", "SET vschema_generation = 'auto', or start a canary";
    SINGLE_SHARD_ONLY = "GG09041", 1105, b"HY000", Client,
        "the transaction would take part on shard {} too, but transaction_mode is 'single'", "SET transaction_mode = 'multi', or keep the transaction on one shard";

    SEQUENCE_EXHAUSTED = "GG09013", 1467, b"HY000", Client,
        "sequence {} has no value left", "set its next_id to where unused values begin";

    MISPLACED = "GG09050", 1748, b"HY000", Client,
        "row {} belongs to shard {}, not to shard {}, which is the target", "write each row under USE keyspace:shard of its own shard, or INSERT the rows with VALUES under USE keyspace; with /*vt+ ALLOW_MISPLACED=1 */ the row is stored where routed statements do not find it";
    MOVED_AWAY = "GG09051", 1748, b"HY000", Client,
        "the new values belong to shard {}, not to shard {}, which is the target", "DELETE the row and INSERT it with the new values under USE keyspace, in one transaction; with /*vt+ ALLOW_MISPLACED=1 */ it stays where routed statements do not find it";
    NUMBERED_APART = "GG09052", 1235, b"42000", Client,
        "NULL or 0 for an AUTO_INCREMENT column of a table with copies, of which each server would take its own next number", "write another number; where a sequence of the VSchema fills the column, leave it out";
    COPIES_DIFFER = "GG09053", 1105, b"HY000", Client,
        "the copies of this table differ: the statement did not do the same to each, and was rolled back on all", "compare source and copies, and correct them, each by USE keyspace:shard";
    COPIES_BEHIND = "GG09054", 1235, b"42000", Client,
        "a strong read, a write or a transaction would join copies of a reference table, which may be behind their source (proxy.reference_copies = 'external')", "SET read_consistency = 'eventual' outside of a transaction, or read the source in a statement of its own";
    NUMBERED_ELSEWHERE = "GG09055", 1235, b"42000", Client,
        "0 for a sharding column with AUTO_INCREMENT, in whose place the server may put its own next number", "give the number, or let a sequence of the VSchema fill the column";

    // 10: aborted
    KILLED = "GG10001", 1317, b"70100", Client,
        "query execution was interrupted", "it was stopped by KILL";

    IDLE = "GG10003", 4031, b"HY000", Client,
        "the client was disconnected because of inactivity", "see wait_timeout, and limits.client_idle_ms";

    TABLE_LOCK_WAIT = "GG10004", 1205, b"HY000", Client,
        "lock wait timeout exceeded: the tables on shard {} were not free within {}; none is locked", "end the transactions that write them, or raise limits.table_lock_wait_ms";

    HALF_COMMAND = "GG10005", 1159, b"08S01", Client,
        "got timeout reading communication packets: nothing of a command that was begun has come within limits.client_read_timeout_ms ({})", "the connection is closed; look at the network, or raise the limit";
    STATEMENT_TIMEOUT = "GG10006", 3024, b"HY000", Client,
        "the statement took longer than statement_timeout_ms ({}): {}", "SET statement_timeout_ms, as far as the [[user]] allows, or make it quicker";

    // 12: unsupported
    UNSUPPORTED = "GG12001", 1235, b"42000", Client,
        "unsupported: {}", "rewrite the statement";
    OWN_ACCOUNT = "GG12006", 1235, b"42000", Client,
        "unsupported: a change of one's own account, which is Geogate's at the server", "accounts of clients are written in the configuration; name an account to change it at the server";
    NEW_KEYSPACE = "GG12005", 1235, b"42000", Client,
        "unsupported: CREATE DATABASE {}, which is no keyspace", "keyspaces and their servers are written in the configuration";
    SNAPSHOT_REFUSED = "GG12004", 1235, b"42000", Client,
        "unsupported: START TRANSACTION WITH CONSISTENT SNAPSHOT over several servers, whose snapshots are each of another moment", "SET consistent_snapshot = 'locked' (or proxy.consistent_snapshot) locks all tables for that moment, 'per_server' does without; LOCK TABLES, which dumps use by default, is of one moment too";
    UNSUPPORTED_SETTING = "GG12002", 1235, b"42000", Client,
        "unsupported: {} = {}", "choose another value; this one would change how Geogate must read statements";
    UNSUPPORTED_VALUE = "GG12040", 1235, b"42000", Client,
        "unsupported: {} = '{}'; served are {}", "choose one of these";

    PARTIAL_DDL = "GG12003", 1105, b"HY000", Proxy,
        "the definition failed on shard {}: {}; done on {}", "mend the cause and run the statement on the other shards with USE keyspace:shard";

    // 13: internal
    INTERNAL = "GG13001", 1105, b"HY000", Proxy,
        "internal error: {}", "please report it with the statement";

    // 14: unavailable
    TOO_MANY_CONNECTIONS = "GG14001", 1040, b"08004", Proxy,
        "too many connections ({})", "raise limits.client_connections_max or close idle clients";
    POOL_TIMEOUT = "GG14002", 1203, b"42000", Proxy,
        "no connection to the {} of shard {} became free within {}", "raise limits.server_connections_max or shorten transactions";
    SERVER_FULL = "GG14007", 1203, b"42000", Proxy,
        "the {} of shard {} refused more connections (error {}), and none became free within {}", "raise max_connections or the account's limits at the server, or lower limits.server_connections_max or the server's connections_max";
    SERVER_UNREACHABLE = "GG14003", 1105, b"08S01", Network,
        "the {} of shard {} cannot be reached: {}", "the statement was not run; check the server, SHOW SERVERS tells its state";
    ACCOUNT_EXPIRED = "GG14008", 1105, b"08S01", Proxy,
        "the {} of shard {} refuses Geogate's account, whose password has expired (error {})", "an administrator of the server renews it by ALTER USER .. IDENTIFIED BY .. with the password of [backend]; no restart is needed";
    ACCOUNT_LOCKED = "GG14009", 1105, b"08S01", Proxy,
        "the {} of shard {} refuses Geogate's account, which is locked (error {})", "an administrator of the server opens it by ALTER USER .. ACCOUNT UNLOCK; no restart is needed";
    ACCOUNT_DENIED = "GG14010", 1105, b"08S01", Proxy,
        "the {} of shard {} refuses Geogate's account (error {})", "compare user and password of [backend] with the accounts of the server";
    SERVER_GONE = "GG14004", 1105, b"08S01", Network,
        "the connection to the {} of shard {} was lost: {}", "the statement has changed nothing; try again";
    NOT_SENT = "GG14011", 1105, b"08S01", Network,
        "the connection to the {} of shard {} was lost before the statement was sent: {}", "the statement was not run; try again, SHOW SERVERS tells the server's state";
    SPLIT_BRAIN = "GG14012", 1105, b"HY000", Proxy,
        "writes to shard {} are stopped: {} of its servers are writable at the same time", "the statement was not run; an operator makes all but one of them read-only, SHOW SERVERS names them";
    PRIMARY_UNREMEMBERED = "GG14013", 1105, b"HY000", Proxy,
        "shard {} has no primary in service: that there is another one cannot be written down in the state folder", "the statement was not run; an operator makes the folder control.state writable, the log tells why it is not";
    NO_SERVER = "GG14014", 1105, b"HY000", Network,
        "no server can answer for shard {}, be it the primary or a replica: {}", "the statement was not run; SHOW SERVERS tells the servers' states";
    SHUTTING_DOWN = "GG14005", 1053, b"08S01", Proxy,
        "server shutdown in progress", "connect again";
    LIMIT = "GG14006", 1153, b"08S01", Proxy,
        "limit {} exceeded: {}", "raise the limit in the configuration's [limits], or ask for less";
    CLIENT_MEMORY = "GG14015", 1041, b"HY000", Client,
        "limit client_memory_bytes_max ({}) exceeded: {} needs {} bytes more, and the client holds {}", "close prepared statements and cursors, send less at once, or raise the limit in the configuration's [limits]";
    PROCESS_MEMORY = "GG14016", 1041, b"HY000", Proxy,
        "limit memory_bytes_max ({}) exceeded: {} needs {} bytes more", "try again when other clients have ended, or raise the limit in the configuration's [limits]";
    MEMORY_GIVEN_BACK = "GG14017", 1041, b"HY000", Proxy,
        "limit memory_bytes_max ({}) exceeded: this client held the most, {} bytes, and is disconnected", "hold less at once, or raise the limit in the configuration's [limits]";
    NO_LOCAL_SERVER = "GG14040", 1105, b"HY000", Network,
        "no server in region {} can answer for shard {}: {}", "this read does not leave its region; read_consistency = 'eventual' may";
    PRIMARY_MOVED = "GG14042", 1105, b"HY000", Network,
        "the primary of shard {} is another server than the one that this session holds", "ROLLBACK, or reset the connection, and run the transaction again";
    NO_REPLICA = "GG14041", 1105, b"HY000", Network,
        "no replica of shard {} can answer: {}", "USE keyspace without @replica, or wait for a replica; SHOW SERVERS tells their states";

    // 15: transactions
    TRANSACTION_LOST = "GG15001", 1105, b"HY000", Network,
        "the transaction is lost because its connection to shard {} broke", "ROLLBACK, then run the transaction again";
    LAST_VALUE_LOST = "GG15004", 1235, b"HY000", Client,
        "the last value of sequence {} is not known, because its server connection was given to another session since", "ask in the transaction that takes the number, or keep what NEXTVAL() answers";
    DIAGNOSTICS_LOST = "GG15005", 1235, b"HY000", Client,
        "the diagnostics of the last statement are not known, because its server connection was given to another session since", "run both in one transaction, or ask by SHOW WARNINGS";
    STATEMENT_LOST = "GG15010", 1105, b"HY000", Network,
        "the server connection that knows how this prepared statement was read and its parameters were bound is not available", "prepare the statement again; bind each parameter with values of one type";
    CURSOR_LOST = "GG15003", 1105, b"HY000", Network,
        "the cursor is lost because its connection to the server broke", "execute the statement again";
    UNKNOWN_OUTCOME = "GG15006", 1105, b"08007", Network,
        "it is not known whether the statement was done on shard {}: {}", "look for its rows on the present primary before trying again; a transaction that it was part of has ended";
    COMMIT_REFUSED = "GG15007", 1105, b"HY000", Network,
        "the transaction was rolled back, because shard {} does not take it: {}", "run the transaction again when the shard takes writes; SHOW SERVERS tells the servers' states";
    PARTIAL_COMMIT = "GG15002", 1105, b"HY000", Network,
        "the transaction over several shards was committed on {}; not committed on {}; not known on {}: {}", "it is not atomic over several shards; compare the rows before trying again";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut seen = std::collections::HashSet::new();
        for entry in ALL {
            assert!(seen.insert(entry.id), "{} stands twice", entry.id);
            assert!(entry.id.len() == 7 && entry.id.starts_with("GG"), "{}", entry.id);
            assert!(entry.sqlstate.iter().all(u8::is_ascii_alphanumeric), "{}", entry.id);
            assert!(!entry.advice.ends_with('.') && !entry.text.ends_with('.'), "{}", entry.id);
        }
    }

    #[test]
    fn arguments_fill_the_text_in_order() {
        let error = POOL_TIMEOUT.with(&[&"primary", &"shop:-80", &"5s"]);
        assert_eq!(
            String::from_utf8_lossy(&error.message),
            "GG14002: no connection to the primary of shard shop:-80 became free within 5s \
             (raise limits.server_connections_max or shorten transactions)"
        );
    }
}
