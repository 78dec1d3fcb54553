//! Bytes that MariaDB 10.11.19 sent, packet headers included, for the tests of this module.
//!
//! Recorded from a bare socket. The table is `t (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
//! v VARCHAR(20), d DATETIME(3))`; names with DEPRECATE come from a connection that agreed on
//! DEPRECATE_EOF, SESSION_TRACK and MARIADB_EXTENDED_METADATA, the others from one with EOF
//! packets.

/// The greeting.
pub(super) const GREETING: &[u8] =
    b"h\0\0\0\x0a5.5.5-10.11.19-MariaDB-0+deb12u1-log\0\x06\0\0\0,($|flhG\0\xfe\xf7\x08\
    \x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0gP>#4|4.(}`H\0mysql_native_password\0";
/// OK that ends the handshake; nothing tracked.
pub(super) const OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
/// `INSERT` of two rows, without SESSION_TRACK.
pub(super) const INSERT: &[u8] =
    b".\0\0\x01\0\x02\x01\x02\0\0\0&Records: 2  Duplicates: 0  Warnings: 0";
/// `SELECT id, v FROM t`: two rows, EOF packets.
pub(super) const SELECT_EOF: &[u8] =
    b"\x01\0\0\x01\x02\x1d\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\x0c?\0\x0a\0\0\0\x03#\
    B\0\0\0\x1b\0\0\x03\x03def\x01w\x01t\x01t\x01v\x01v\x0c-\0P\0\0\0\xfd\0\0\0\0\0\x05\
    \0\0\x04\xfe\0\0\x22\0\x04\0\0\x05\x011\x01a\x03\0\0\x06\x012\xfb\x05\0\0\x07\xfe\0\
    \0\x22\0";
/// COM_STMT_PREPARE: two parameters, three columns, EOF packets.
pub(super) const PREPARE_EOF: &[u8] =
    b"\x0c\0\0\x01\0\x01\0\0\0\x03\0\x02\0\0\0\0\x17\0\0\x02\x03def\0\0\0\x01?\0\x0c?\0\0\
    \0\0\0\x06\x80\0\0\0\0\x17\0\0\x03\x03def\0\0\0\x01?\0\x0c?\0\0\0\0\0\x06\x80\0\0\0\
    \0\x05\0\0\x04\xfe\0\0\x02\0\x1d\0\0\x05\x03def\x01w\x01t\x01t\x02id\x02id\x0c?\0\
    \x0a\0\0\0\x03#B\0\0\0\x1b\0\0\x06\x03def\x01w\x01t\x01t\x01v\x01v\x0c-\0P\0\0\0\xfd\
    \0\0\0\0\0\x1b\0\0\x07\x03def\x01w\x01t\x01t\x01d\x01d\x0c?\0\x17\0\0\0\x0c\x80\0\
    \x03\0\0\x05\0\0\x08\xfe\0\0\x02\0";
/// COM_STMT_PREPARE of a statement without parameters and columns.
pub(super) const PREPARE_NONE: &[u8] = b"\x0c\0\0\x01\0\x02\0\0\0\0\0\0\0\0\0\0";
/// COM_STMT_PREPARE: one parameter, no column, EOF packets.
pub(super) const PREPARE_PARAM: &[u8] =
    b"\x0c\0\0\x01\0\x03\0\0\0\0\0\x01\0\0\0\0\x17\0\0\x02\x03def\0\0\0\x01?\0\x0c?\0\0\0\
    \0\0\x06\x80\0\0\0\0\x05\0\0\x03\xfe\0\0\x02\0";
/// `SELECT` from a table that does not exist.
pub(super) const ERR: &[u8] = b"&\0\0\x01\xffz\x04#42S02Table 'nix.nix' doesn't exist";
/// COM_FIELD_LIST: one column, EOF packets.
pub(super) const FIELD_LIST_EOF: &[u8] =
    b"\x1c\0\0\x01\x03def\x01w\x01t\x01t\x01v\x01v\x0c-\0P\0\0\0\xfd\0\0\0\0\0\xfb\x05\0\0\
    \x02\xfe\0\0\x02\0";
/// COM_STATISTICS.
pub(super) const STATISTICS: &[u8] =
    b"s\0\0\x01Uptime: 1229  Threads: 1  Questions: 17  Slow queries: 0  Opens: 20  Open t\
    ables: 14  Queries per second avg: 0.013";
/// COM_SET_OPTION.
pub(super) const SET_OPTION: &[u8] = b"\x05\0\0\x01\xfe\0\0\x02\0";
/// `CALL`: two result sets and an OK, EOF packets.
pub(super) const CALL_EOF: &[u8] =
    b"\x01\0\0\x01\x01\x17\0\0\x02\x03def\0\0\0\x011\0\x0c?\0\x01\0\0\0\x03\x81\0\0\0\0\
    \x05\0\0\x03\xfe\0\0\x0a\0\x02\0\0\x04\x011\x05\0\0\x05\xfe\0\0\x0a\0\x01\0\0\x06\
    \x01\x17\0\0\x07\x03def\0\0\0\x01b\0\x0c?\0\x01\0\0\0\x03\x81\0\0\0\0\x05\0\0\x08\
    \xfe\0\0*\0\x02\0\0\x09\x012\x02\0\0\x0a\x012\x05\0\0\x0b\xfe\0\0*\0\x07\0\0\x0c\0\0\
    \0\x22\0\0\0";
/// COM_STMT_EXECUTE that opens a cursor, EOF packets.
pub(super) const CURSOR_EOF: &[u8] =
    b"\x01\0\0\x01\x02\x1d\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\x0c?\0\x0a\0\0\0\x03!\
    \0\0\0\0\x1b\0\0\x03\x03def\x01w\x01t\x01t\x01d\x01d\x0c?\0\x17\0\0\0\x0c\x80\0\x03\
    \0\0\x05\0\0\x04\xfe\0\0b\0";
/// COM_STMT_FETCH: one of two rows, EOF packets.
pub(super) const FETCH_EOF: &[u8] =
    b"\x12\0\0\x01\0\0\x01\0\0\0\x0b\xea\x07\x0b\x15\x01\x02\x03\xa0\x0f\0\0\x05\0\0\x02\
    \xfe\0\0B\0";
/// COM_STMT_EXECUTE: two binary rows, EOF packets.
pub(super) const EXECUTE_EOF: &[u8] =
    b"\x01\0\0\x01\x02\x1d\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\x0c?\0\x0a\0\0\0\x03#\
    B\0\0\0\x1b\0\0\x03\x03def\x01w\x01t\x01t\x01d\x01d\x0c?\0\x17\0\0\0\x0c\x80\0\x03\0\
    \0\x05\0\0\x04\xfe\0\0\x22\0\x12\0\0\x05\0\0\x01\0\0\0\x0b\xea\x07\x0b\x15\x01\x02\
    \x03\xa0\x0f\0\0\x06\0\0\x06\0\x08\x02\0\0\0\x05\0\0\x07\xfe\0\0\x22\0";
/// OK that ends the handshake and names the database.
pub(super) const OK_TRACK: &[u8] = b"\x0d\0\0\x02\0\0\0\x02@\0\0\0\x04\x01\x02\x01w";
/// `INSERT` with `last_gtid` tracked.
pub(super) const INSERT_TRACK: &[u8] =
    b"\x1b\0\0\x01\0\x01\x03\x02@\0\0\0\x12\0\x10\x09last_gtid\x050-1-7";
/// `BEGIN` with transaction characteristics tracked.
pub(super) const BEGIN: &[u8] =
    b")\0\0\x01\0\0\0\x03@\0\0\0 \x05\x09\x08T_______\x04\x13\x12START TRANSACTION;";
/// `UPDATE` in a transaction.
pub(super) const UPDATE: &[u8] =
    b"<\0\0\x01\0\x03\0#@\0\0(Rows matched: 3  Changed: 3  Warnings: 0\x0b\x05\x09\x08T___\
    W___";
/// `COMMIT` with `last_gtid` and transaction characteristics tracked.
pub(super) const COMMIT: &[u8] =
    b")\0\0\x01\0\0\0\x02@\0\0\0 \0\x10\x09last_gtid\x050-1-8\x05\x09\x08________\x04\x01\
    \0";
/// `SELECT` of two rows with extended metadata, DEPRECATE_EOF.
pub(super) const SELECT_DEPRECATE: &[u8] =
    b"\x01\0\0\x01\x03\x1e\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\0\x0c?\0\x0a\0\0\0\
    \x03#B\0\0\0\x1c\0\0\x03\x03def\x01w\x01t\x01t\x01v\x01v\0\x0c-\0P\0\0\0\xfd\0\0\0\0\
    \0\x1c\0\0\x04\x03def\x01w\x01t\x01t\x01d\x01d\0\x0c?\0\x17\0\0\0\x0c\x80\0\x03\0\0\
    \x1c\0\0\x05\x011\x01y\x172026-11-21 01:02:03.004\x05\0\0\x06\x012\x01y\xfb\x07\0\0\
    \x07\xfe\0\0\x22\0\0\0";
/// `SELECT; INSERT; SELECT` in one COM_QUERY, DEPRECATE_EOF.
pub(super) const MULTI_DEPRECATE: &[u8] =
    b"\x01\0\0\x01\x01\x18\0\0\x02\x03def\0\0\0\x011\0\0\x0c?\0\x01\0\0\0\x03\x81\0\0\0\0\
    \x02\0\0\x03\x011\x07\0\0\x04\xfe\0\0\x0a\0\0\0\x1b\0\0\x05\0\x01\x04\x0a@\0\0\0\x12\
    \0\x10\x09last_gtid\x050-1-9\x01\0\0\x06\x01\x18\0\0\x07\x03def\0\0\0\x012\0\0\x0c?\
    \0\x01\0\0\0\x03\x81\0\0\0\0\x02\0\0\x08\x012\x07\0\0\x09\xfe\0\0\x02\0\0\0";
/// `CALL`: two result sets and an OK, DEPRECATE_EOF.
pub(super) const CALL_DEPRECATE: &[u8] =
    b"\x01\0\0\x01\x01\x18\0\0\x02\x03def\0\0\0\x011\0\0\x0c?\0\x01\0\0\0\x03\x81\0\0\0\0\
    \x02\0\0\x03\x011\x07\0\0\x04\xfe\0\0\x0a\0\0\0\x01\0\0\x05\x01\x18\0\0\x06\x03def\0\
    \0\0\x01b\0\0\x0c?\0\x01\0\0\0\x03\x81\0\0\0\0\x02\0\0\x07\x012\x02\0\0\x08\x012\x02\
    \0\0\x09\x012\x02\0\0\x0a\x012\x07\0\0\x0b\xfe\0\0*\0\0\0\x07\0\0\x0c\0\0\0\x22\0\0\
    \0";
/// COM_STMT_PREPARE: two parameters, three columns, DEPRECATE_EOF.
pub(super) const PREPARE_DEPRECATE: &[u8] =
    b"\x0c\0\0\x01\0\x05\0\0\0\x03\0\x02\0\0\0\0\x18\0\0\x02\x03def\0\0\0\x01?\0\0\x0c?\0\
    \0\0\0\0\x06\x80\0\0\0\0\x18\0\0\x03\x03def\0\0\0\x01?\0\0\x0c?\0\0\0\0\0\x06\x80\0\
    \0\0\0\x1e\0\0\x04\x03def\x01w\x01t\x01t\x02id\x02id\0\x0c?\0\x0a\0\0\0\x03#B\0\0\0\
    \x1c\0\0\x05\x03def\x01w\x01t\x01t\x01v\x01v\0\x0c-\0P\0\0\0\xfd\0\0\0\0\0\x1c\0\0\
    \x06\x03def\x01w\x01t\x01t\x01d\x01d\0\x0c?\0\x17\0\0\0\x0c\x80\0\x03\0\0";
/// `LOAD DATA LOCAL`: the request for a file.
pub(super) const INFILE: &[u8] = b"\x07\0\0\x01\xfb/tmp/x";
/// `LOAD DATA LOCAL`: the answer after an empty file.
pub(super) const INFILE_END: &[u8] =
    b"7\0\0\x03\0\0\0\x02\0\0\0/Records: 0  Deleted: 0  Skipped: 0  Warnings: 0";
/// COM_STMT_EXECUTE: two binary rows, DEPRECATE_EOF.
pub(super) const EXECUTE_DEPRECATE: &[u8] =
    b"\x01\0\0\x01\x02\x1e\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\0\x0c?\0\x0a\0\0\0\
    \x03#B\0\0\0\x1c\0\0\x03\x03def\x01w\x01t\x01t\x01d\x01d\0\x0c?\0\x17\0\0\0\x0c\x80\
    \0\x03\0\0\x12\0\0\x04\0\0\x01\0\0\0\x0b\xea\x07\x0b\x15\x01\x02\x03\xa0\x0f\0\0\x06\
    \0\0\x05\0\x08\x02\0\0\0\x07\0\0\x06\xfe\0\0\x22\0\0\0";
/// COM_STMT_EXECUTE that opens a cursor, DEPRECATE_EOF.
pub(super) const CURSOR_DEPRECATE: &[u8] =
    b"\x01\0\0\x01\x02\x1e\0\0\x02\x03def\x01w\x01t\x01t\x02id\x02id\0\x0c?\0\x0a\0\0\0\
    \x03!\0\0\0\0\x1c\0\0\x03\x03def\x01w\x01t\x01t\x01d\x01d\0\x0c?\0\x17\0\0\0\x0c\x80\
    \0\x03\0\0\x07\0\0\x04\xfe\0\0b\0\0\0";
/// COM_STMT_FETCH: the rest of the rows, DEPRECATE_EOF.
pub(super) const FETCH_DEPRECATE: &[u8] =
    b"\x12\0\0\x01\0\0\x01\0\0\0\x0b\xea\x07\x0b\x15\x01\x02\x03\xa0\x0f\0\0\x06\0\0\x02\0\
    \x08\x02\0\0\0\x07\0\0\x03\xfe\0\0\x82\0\0\0";
/// COM_FIELD_LIST: one column, DEPRECATE_EOF.
pub(super) const FIELD_LIST_DEPRECATE: &[u8] =
    b"\x1d\0\0\x01\x03def\x01w\x01t\x01t\x01v\x01v\0\x0c-\0P\0\0\0\xfd\0\0\0\0\0\xfb\x07\0\
    \0\x02\xfe\0\0\x02\0\0\0";
/// A `SELECT` that fails after its first row, DEPRECATE_EOF.
pub(super) const LATE_ERROR: &[u8] =
    b"\x01\0\0\x01\x01\x18\0\0\x02\x03def\0\0\0\x011\0\0\x0c?\0\x0b\0\0\0\x03\x80\0\0\0\0\
    \x02\0\0\x03\x011)\0\0\x04\xff\xda\x04#21000Subquery returns more than 1 row";
/// COM_CHANGE_USER: the request to switch the plugin.
pub(super) const CHANGE_USER: &[u8] =
    b",\0\0\x01\xfemysql_native_password\0,M\x22^614MjL|PVB&8&TW6\0";
