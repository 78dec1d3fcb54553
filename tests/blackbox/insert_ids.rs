//! LAST_INSERT_ID() is the session's, whatever the way in, on a connection that others use too.

use crate::session_state::{ONE, Other, RESET, SHARDS, on_mysql, play, play_beside};

/// Goal: LAST_INSERT_ID() is the session's, also where only a stored routine asks for it.
#[test]
fn last_insert_id_is_the_sessions() {
    play(
        &ONE,
        &[
            &[
                "INSERT INTO t (a) VALUES (1)",
                "SELECT LAST_INSERT_ID()",
                "UPDATE t SET id = LAST_INSERT_ID(id + 1000)",
                "SELECT LAST_INSERT_ID(), @@last_insert_id, @@identity",
                "SELECT LAST_INSERT_ID(0)",
                "SELECT LAST_INSERT_ID()",
                "INSERT INTO t (a) VALUES (LAST_INSERT_ID(77))",
                "SELECT LAST_INSERT_ID()",
                "INSERT INTO t (a) VALUES (2), (3)",
                "SELECT LAST_INSERT_ID(), LAST_INSERT_ID(9)",
                "SELECT LAST_INSERT_ID()",
                "SET @x = LAST_INSERT_ID(19)",
                "SELECT LAST_INSERT_ID(), @x",
                "DO LAST_INSERT_ID(12)",
                "SELECT LAST_INSERT_ID()",
                "P: SELECT LAST_INSERT_ID(33)",
                "P: SELECT LAST_INSERT_ID()",
                "INSERT INTO t (a) SELECT 4",
                "SELECT LAST_INSERT_ID()",
                "INSERT INTO t (id, a) VALUES (1001, 9) \
                 ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), a = 10",
                "SELECT LAST_INSERT_ID()",
                "DELETE FROM t WHERE id = LAST_INSERT_ID(44)",
                "SELECT LAST_INSERT_ID()",
                "BEGIN",
                "INSERT INTO t (a) VALUES (3)",
                "ROLLBACK",
                "SELECT LAST_INSERT_ID()",
                "SELECT LAST_INSERT_ID(-1)",
                "SELECT LAST_INSERT_ID()",
                "SELECT LAST_INSERT_ID(NULL)",
                "SELECT LAST_INSERT_ID()",
                RESET,
                "SELECT LAST_INSERT_ID()",
            ],
            &[
                "CALL gives_id()",
                "INSERT INTO t (a) VALUES (1)",
                "CALL gives_id()",
                "P: CALL gives_id()",
                "SELECT id_of_session()",
                "SET @x = id_of_session()",
                "SELECT @x",
                "CALL inserts(3)",
                "SELECT LAST_INSERT_ID()",
                "PREPARE s FROM 'CALL gives_id()'",
                "EXECUTE s",
                "SELECT LAST_INSERT_ID(71)",
                "EXECUTE s",
            ],
        ],
    );
}

/// Goal: an id that is given is none that was generated.
#[test]
fn ids_that_are_given() {
    play(
        &ONE,
        &[&[
            "INSERT INTO t (id) VALUES (500)",
            "SELECT LAST_INSERT_ID()",
            "INSERT INTO t (a) VALUES (1)",
            "INSERT INTO t (id) VALUES (900)",
            "SELECT LAST_INSERT_ID()",
            "P: INSERT INTO t (id) VALUES (901)",
            "SELECT LAST_INSERT_ID()",
            "BEGIN",
            "INSERT INTO t (id) VALUES (902)",
            "INSERT INTO t (a) VALUES (2)",
            "INSERT INTO t (id) VALUES (903)",
            "COMMIT",
            "SELECT LAST_INSERT_ID()",
            "INSERT INTO t (id, a) VALUES (903, 1) ON DUPLICATE KEY UPDATE a = 2",
            "SELECT LAST_INSERT_ID()",
            "REPLACE INTO t (id, a) VALUES (904, 1)",
            "SELECT LAST_INSERT_ID()",
            RESET,
            "INSERT INTO t (id) VALUES (905)",
            "SELECT LAST_INSERT_ID()",
        ]],
    );
}

/// Goal: an id that is given is none that was generated, also if another session has left just that
/// one on the connection; and one that was generated is one, whatever was left.
#[test]
fn ids_that_others_have_left() {
    let steps = [
        "SELECT LAST_INSERT_ID(6)",
        "INSERT INTO t (id) VALUES (4444)",
        "SELECT LAST_INSERT_ID()",
        "B: SELECT LAST_INSERT_ID(4445), LAST_INSERT_ID()",
        "B: SELECT LAST_INSERT_ID()",
        "INSERT INTO t (id) VALUES (4445)",
        "SELECT LAST_INSERT_ID()",
        "B: SELECT LAST_INSERT_ID()",
        "B: INSERT INTO u (id) VALUES (4444), (4445)",
        "B: SELECT LAST_INSERT_ID()",
        "P: INSERT INTO t (id) VALUES (4450)",
        "SELECT LAST_INSERT_ID()",
        "B: INSERT INTO t (a) VALUES (1)",
        "INSERT INTO u (id) VALUES (4451)",
        "INSERT INTO t (id) VALUES (4451)",
        "SELECT LAST_INSERT_ID()",
        "INSERT INTO t (id) VALUES (4451)",
        "SELECT LAST_INSERT_ID()",
        "BEGIN",
        "INSERT INTO t (id) VALUES (4460)",
        "INSERT INTO t (a) VALUES (4460)",
        "INSERT INTO t (id) VALUES (4470)",
        "INSERT INTO t (id) VALUES (4470)",
        "COMMIT",
        "SELECT LAST_INSERT_ID()",
    ];
    play(&ONE, &[&steps]);
    play_beside(&ONE, &[&steps], Other::Waits);
}

const ASKING: &[&str] = &[
    "CREATE TABLE asked (n BIGINT, id BIGINT)",
    "CREATE TRIGGER asking BEFORE INSERT ON asked FOR EACH ROW SET NEW.id = LAST_INSERT_ID()",
    "CREATE FUNCTION asks() RETURNS BIGINT READS SQL DATA RETURN LAST_INSERT_ID()",
    "CREATE VIEW asking_too AS SELECT asks() AS id",
];

/// Goal: what a trigger, a view or SHOW VARIABLES asks for is the session's, too.
#[test]
fn ids_that_programs_ask_for() {
    ONE.define(ASKING);
    let steps = [
        "INSERT INTO asked (n) VALUES (0)",
        "SELECT LAST_INSERT_ID(31)",
        "INSERT INTO asked (n) VALUES (1)",
        "P: INSERT INTO asked (n) VALUES (2), (3)",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO asked (n) SELECT 4",
        "B: INSERT INTO asked (n) VALUES (5)",
        "REPLACE INTO asked (n) VALUES (6)",
        "SELECT n, id FROM asked ORDER BY n",
        "SELECT id FROM asking_too",
        "SHOW VARIABLES LIKE 'last_insert_id'",
        "P: SHOW SESSION VARIABLES LIKE 'identity'",
        "B: SHOW VARIABLES LIKE 'identity'",
        "DELETE FROM asked",
        "SELECT LAST_INSERT_ID()",
    ];
    play(&ONE, &[&steps]);
}

/// Goal: an INSERT that answers with rows has generated an id all the same.
#[test]
fn ids_of_returned_rows() {
    if on_mysql() {
        return;
    }
    play(
        &ONE,
        &[&[
            "SELECT LAST_INSERT_ID(777)",
            "INSERT INTO t (a) VALUES (1) RETURNING id",
            "SELECT @@last_insert_id, @@identity",
            "INSERT INTO t (a) VALUES (2), (3) RETURNING id",
            "SELECT LAST_INSERT_ID()",
            "P: REPLACE INTO t (a) VALUES (4) RETURNING id",
            "SELECT LAST_INSERT_ID(), @@last_insert_id",
            "INSERT INTO t (id) VALUES (50) RETURNING id",
            "SELECT LAST_INSERT_ID(), @@identity",
        ]],
    );
}

/// Goal: the same over shards.
#[test]
fn last_insert_id_over_shards() {
    play(
        &SHARDS,
        &[&[
            "SELECT LAST_INSERT_ID(5)",
            "SELECT LAST_INSERT_ID()",
            "INSERT INTO t (id, a) VALUES (9, LAST_INSERT_ID(78))",
            "SELECT LAST_INSERT_ID()",
            "UPDATE t SET a = LAST_INSERT_ID(a + 100) WHERE id = 9",
            "SELECT LAST_INSERT_ID()",
            "SELECT id FROM t WHERE id = LAST_INSERT_ID()",
            "SELECT LAST_INSERT_ID(6), a FROM t WHERE id = 9",
            "P: SELECT LAST_INSERT_ID()",
            "SET @k = LAST_INSERT_ID(15)",
            "SELECT LAST_INSERT_ID()",
        ]],
    );
}

/// Goal: counts and insert ids in one statement do not spoil each other, and SET insert_id waits
/// for a statement that inserts.
#[test]
fn insert_ids_beside_counts() {
    play(
        &ONE,
        &[
            &[
                "INSERT INTO t (a) VALUES (1), (2), (3)",
                "UPDATE t SET a = a + 100",
                "SELECT ROW_COUNT(), LAST_INSERT_ID()",
                "UPDATE t SET a = a + 100",
                "INSERT INTO t (id, a) VALUES (LAST_INSERT_ID() + 5000, ROW_COUNT())",
                "SELECT id, a FROM t WHERE id >= 5000",
                "BEGIN",
                "UPDATE t SET a = a + 1",
                "SELECT ROW_COUNT(), LAST_INSERT_ID()",
                "COMMIT",
                "SELECT a FROM t",
                "P: SELECT ROW_COUNT(), LAST_INSERT_ID()",
            ],
            &[
                "SET insert_id = 473",
                "UPDATE t SET a = a + 1",
                "DELETE FROM t WHERE id < 0",
                "SELECT COUNT(*) FROM t",
                "INSERT INTO t (a) VALUES (9)",
                "SELECT LAST_INSERT_ID()",
                "INSERT INTO t (a) VALUES (10)",
                "SELECT LAST_INSERT_ID()",
            ],
        ],
    );
}
