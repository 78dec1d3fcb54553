"""PyMySQL against Geogate or a plain server: login, types, errors, transactions.

Called by tests/drivers/run.sh: HOST PORT DATABASE USER PASSWORD TLS(yes|no) MODE(table|demo).
PyMySQL sends text queries only; prepared statements are the Go driver's part. Prints one line
`N passed, N failed` and exits with 1 if anything failed.
"""

import datetime
import decimal
import ssl
import sys
import traceback

import pymysql


def connect(**more):
    context = None
    if TLS == "yes":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    options = dict(host=HOST, port=PORT, database=DATABASE, user=USER, password=PASSWORD,
                   ssl=context, ssl_disabled=TLS != "yes", charset="utf8mb4", connect_timeout=10,
                   read_timeout=30)
    options.update(more)
    return pymysql.connect(**options)


def one(connection, sql, args=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchone()


def expect(wanted, got):
    assert wanted == got, f"expected {wanted!r}, got {got!r}"


def expect_error(errno, call):
    try:
        call()
    except pymysql.MySQLError as error:
        expect(errno, error.args[0])
    else:
        raise AssertionError(f"expected error {errno}, got none")


def check_login(connection):
    connection.ping(reconnect=False)
    expect((1,), one(connection, "SELECT 1"))
    encrypted = type(connection._sock).__name__ == "SSLSocket"
    expect(TLS == "yes", encrypted)


def check_wrong_password(_):
    expect_error(1045, lambda: connect(password=PASSWORD + "x"))
    expect_error(1045, lambda: connect(user="nobody-here"))


def check_types(connection):
    row = one(connection, """SELECT 1, -9223372036854775808, 18446744073709551615, 1.50, 1.5e0, NULL,
        'text', x'00ff', DATE '2024-02-29', TIMESTAMP '2024-02-29 12:34:56.789', TIME '-10:20:30',
        TRUE""")
    expect((1, -9223372036854775808, 18446744073709551615, decimal.Decimal("1.50"), 1.5, None,
            "text", b"\x00\xff", datetime.date(2024, 2, 29),
            datetime.datetime(2024, 2, 29, 12, 34, 56, 789000),
            -datetime.timedelta(hours=10, minutes=20, seconds=30), 1), row)


def check_unicode(connection):
    text = "zürich 李雷 🦀 'quoted' \\ back"
    expect((text,), one(connection, "SELECT %s", (text,)))
    expect((len(text),), one(connection, "SELECT CHAR_LENGTH(%s)", (text,)))


def check_large_values(connection):
    text = "x" * 300_000
    expect((len(text), text), one(connection, "SELECT LENGTH(%s), %s", (text, text)))


def check_many_rows(connection):
    with connection.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
        expect([(1,), (2,), (3,)], list(cursor))


def check_errors(connection):
    expect_error(1064, lambda: one(connection, "SELEC 1"))
    expect_error(1146, lambda: one(connection, "SELECT * FROM no_such_table"))
    expect((2,), one(connection, "SELECT 2"))


def check_session_state(connection):
    with connection.cursor() as cursor:
        cursor.execute("SET @mine = 42")
        cursor.execute("SELECT @mine")
        expect((42,), cursor.fetchone())
        cursor.execute("SET time_zone = '+03:00'")
        cursor.execute("SELECT @@session.time_zone")
        expect(("+03:00",), cursor.fetchone())
    with connect() as other:
        expect((None,), one(other, "SELECT @mine"))


def check_writes(connection):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM driver_rows WHERE id BETWEEN 100 AND 199")
        rows = [(100, 1, "one"), (101, 2, "two"), (102, None, None)]
        expect(3, cursor.executemany("INSERT INTO driver_rows (id, k, v) VALUES (%s, %s, %s)", rows))
        expect(2, cursor.execute("UPDATE driver_rows SET k = 9 WHERE id IN (100, 101)"))
        expect(0, cursor.execute("UPDATE driver_rows SET k = 9 WHERE id = 100"))
        connection.commit()
        cursor.execute("SELECT id, k, v FROM driver_rows WHERE id BETWEEN 100 AND 199 ORDER BY id")
        expect([(100, 9, "one"), (101, 9, "two"), (102, None, None)], list(cursor.fetchall()))
    def again():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO driver_rows (id) VALUES (100)")
    expect_error(1062, again)
    expect_error(1054, lambda: one(connection, "SELECT nonsense FROM driver_rows"))
    connection.rollback()


def check_last_insert_id(connection):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO driver_numbers (v) VALUES ('a')")
        first = cursor.lastrowid
        cursor.execute("INSERT INTO driver_numbers (v) VALUES ('b'), ('c')")
        assert cursor.lastrowid > first > 0, (first, cursor.lastrowid)
        expect((cursor.lastrowid,), one(connection, "SELECT LAST_INSERT_ID()"))
    connection.commit()


def check_transactions(connection):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM driver_rows WHERE id = 200")
        connection.commit()
        connection.begin()
        cursor.execute("INSERT INTO driver_rows (id, v) VALUES (200, 'open')")
        with connect() as other:
            expect((0,), one(other, "SELECT COUNT(*) FROM driver_rows WHERE id = 200"))
        connection.rollback()
        expect((0,), one(connection, "SELECT COUNT(*) FROM driver_rows WHERE id = 200"))
        connection.autocommit(True)
        cursor.execute("INSERT INTO driver_rows (id, v) VALUES (200, 'kept')")
    with connect() as other:
        expect(("kept",), one(other, "SELECT v FROM driver_rows WHERE id = 200"))


def check_demo(connection):
    connection.autocommit(True)
    (total,) = one(connection, "SELECT COUNT(*) FROM customers")
    with connection.cursor() as cursor:
        cursor.execute("SELECT region, COUNT(*) FROM customers GROUP BY region ORDER BY region")
        regions = dict(cursor.fetchall())
    expect([1, 2, 3], list(regions))
    expect(total, sum(regions.values()))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO customers (region, name, email, country, joined) "
                       "VALUES (2, %s, %s, 'DE', '2024-01-01')", ("Zoë", "zoe@example.org"))
        number = cursor.lastrowid
        assert number >= 1000, number
        where = "WHERE region = 2 AND id = %s"
        expect(("Zoë",), one(connection, f"SELECT name FROM customers {where}", (number,)))
        expect(1, cursor.execute(f"DELETE FROM customers {where}", (number,)))
    expect((total,), one(connection, "SELECT COUNT(*) FROM customers"))


def main():
    checks = [check_login, check_wrong_password, check_types, check_unicode, check_large_values,
              check_many_rows, check_errors, check_session_state]
    if MODE == "demo":
        checks += [check_demo]
    else:
        checks += [check_writes, check_last_insert_id, check_transactions]
    failed = 0
    for check in checks:
        try:
            with connect() as connection:
                check(connection)
        except Exception:
            failed += 1
            print(f"FAILED {check.__name__}")
            traceback.print_exc(limit=-1, file=sys.stdout)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


HOST, PORT, DATABASE, USER, PASSWORD, TLS, MODE = sys.argv[1:8]
PORT = int(PORT)
sys.exit(main())
