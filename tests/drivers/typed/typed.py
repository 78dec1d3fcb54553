"""MySQL Connector/Python's prepared cursors: sessions that bind values of different types to the same
texts, each at the server itself and through Geogate; all results must be equal.

Called by tests/drivers/typed.sh: FOLDER SERVER_PORT DATABASE PROXY_PORT KEYSPACE KEPT|ANEW. With
ANEW the server's side prepares for each execution, because over shards each one begins with the types of
PREPARE; with KEPT it does not.
"""

import datetime
import decimal
import pathlib
import random
import sys
import threading

import mysql.connector

SESSIONS = 6
STEPS = 150
LOST = "GG15010"

folder, server_port, database, proxy_port, keyspace, mode = sys.argv[1:]
folder = pathlib.Path(folder)
statements = (folder / "statements.txt").read_text().splitlines()
rows = (folder / "rows.sql").read_text()
of_kind = {
    "int": int,
    "text": str,
    "decimal": decimal.Decimal,
    "double": float,
    "date": datetime.date.fromisoformat,
    "bool": lambda text: text == "true",
    "bytes": str.encode,
}
values = {}
for line in (folder / "values.txt").read_text().splitlines():
    kind, text = line.split(" ", 1)
    values.setdefault(kind, []).append(of_kind[kind](text))

writing = threading.Lock()
counting = threading.Lock()
failures = {}
executions = refused = 0


class Side:
    """A connection, with its prepared cursors as long as they are open."""

    def __init__(self, port, database):
        self.connection = mysql.connector.connect(
            host="127.0.0.1", port=int(port), database=database, user="driver", password="driver",
            use_pure=True, autocommit=True)
        self.open = {}

    def close(self, sql):
        if sql in self.open:
            self.open.pop(sql).close()

    def run(self, sql, batch):
        """What an execution, or a batch of several, answers."""
        if "?" in sql.split(" FROM ")[0] and sql.startswith("SELECT"):
            # The driver reads all results as it read a cursor's first one, whatever types they have.
            self.close(sql)
        if sql not in self.open:
            self.open[sql] = self.connection.cursor(prepared=True)
        cursor = self.open[sql]
        try:
            if len(batch) > 1:
                cursor.executemany(sql, batch)
            else:
                cursor.execute(sql, batch[0])
            if sql.startswith("SELECT"):
                return shown(cursor)
            return f"affected {cursor.rowcount}"
        except mysql.connector.Error as error:
            # The number: which row a message names depends on the shard that comes first.
            return f"error {error.errno} {LOST if LOST in error.msg else ''}"

    def write(self, sql, batch, transaction):
        """The same with the rows that it leaves, which are put back."""
        if transaction:
            self.connection.start_transaction()
        answer = self.run(sql, batch)
        plain = self.connection.cursor()
        plain.execute("SELECT * FROM changed ORDER BY id")
        answer += "\n" + shown(plain)
        if transaction:
            self.connection.rollback()
        else:
            fill(plain)
        plain.close()
        return answer


def fill(plain):
    plain.execute("DELETE FROM changed")
    plain.execute("INSERT INTO changed VALUES " + rows)


def shown(cursor):
    columns = [column[:2] for column in cursor.description]
    return "\n".join(map(repr, [columns] + cursor.fetchall()))


def session(number):
    """One session: mostly of one type for each parameter, every fourth text of any."""
    global executions, refused
    chance = random.Random(number)
    direct, proxied = Side(server_port, database), Side(proxy_port, keyspace)
    kinds = sorted(values)
    liked = {sql: [chance.choice(kinds) for _ in range(sql.count("?"))] for sql in statements}
    for _ in range(STEPS):
        at = chance.randrange(len(statements))
        sql = statements[at]
        changes, reads = (at + number) % 4 == 0, sql.startswith("SELECT")

        def value(kind):
            if chance.randrange(8) == 0:
                return None
            return chance.choice(values[chance.choice(kinds) if changes else kind])

        anew = mode == "ANEW"
        if anew:
            direct.close(sql)
        count = 1 if reads or anew or chance.randrange(2) else 3
        batch = [tuple(map(value, liked[sql])) for _ in range(count)]
        transaction = not reads and chance.randrange(2) == 0
        if reads:
            expected, got = direct.run(sql, batch), proxied.run(sql, batch)
        else:
            with writing:
                expected = direct.write(sql, batch, transaction)
                got = proxied.write(sql, batch, transaction)
        with counting:
            executions += count
            # In a transaction the connection that knows the types of a NULL or a text may be another one.
            if LOST in got and (changes or transaction):
                refused += 1
            elif got != expected:
                failures.setdefault(sql, f"{batch}\nserver: {expected}\nproxy:  {got}")
        if chance.randrange(20) == 0 or LOST in got:
            direct.close(sql)
            proxied.close(sql)
    direct.connection.close()
    proxied.connection.close()


def guarded(number):
    try:
        session(number)
    except Exception as error:  # whatever it is, the others go on
        failures[f"session {number}"] = repr(error)


threads = [threading.Thread(target=guarded, args=(number,)) for number in range(SESSIONS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for sql, text in failures.items():
    print(f"FAILED {sql}\n{text}")
print(f"note: {executions} executions, {refused} refused")
print(f"{max(0, len(statements) - len(failures))} passed, {len(failures)} failed")
