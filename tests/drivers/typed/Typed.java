import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * Connector/J with server-side prepared statements: sessions that bind values of different types to
 * the same texts, each at the server itself and through Geogate; all results must be equal.
 *
 * <p>Called by tests/drivers/typed.sh: FOLDER SERVER_PORT DATABASE PROXY_PORT KEYSPACE KEPT|ANEW OPTIONS.
 * With ANEW the server's side prepares for each execution, because over shards each one begins with the
 * types of PREPARE; with KEPT it does not. OPTIONS are those of the driver, such as cachePrepStmts=true.
 */
public class Typed {
    static final int SESSIONS = 6, STEPS = 150;
    static final String LOST = "GG15010";

    /** A value as its line in values.txt has it. */
    record Value(String kind, String text) {}

    static List<String> statements;
    static Map<String, List<Value>> values;
    static String rows;
    static final Object WRITING = new Object();
    static final Map<String, String> failures = new ConcurrentHashMap<>();
    static final AtomicInteger executions = new AtomicInteger(), refused = new AtomicInteger();

    /** A connection, with its statements as long as they are open. */
    static class Side {
        final Connection connection;
        final Map<String, PreparedStatement> open = new HashMap<>();

        Side(String port, String database, String options) throws SQLException {
            connection = DriverManager.getConnection("jdbc:mysql://127.0.0.1:" + port + "/" + database
                + "?useServerPrepStmts=true&allowPublicKeyRetrieval=true&" + options, "driver", "driver");
        }

        PreparedStatement statement(String sql) throws SQLException {
            PreparedStatement known = open.get(sql);
            if (known != null) return known;
            PreparedStatement made = connection.prepareStatement(sql);
            if (!made.getClass().getSimpleName().startsWith("ServerPrepared"))
                throw new IllegalStateException("not prepared at the server: " + sql);
            open.put(sql, made);
            return made;
        }

        /** Closes a statement, for the driver's cache, or at the server. */
        void close(String sql, boolean forCache) throws SQLException {
            PreparedStatement statement = open.remove(sql);
            if (statement == null) return;
            statement.setPoolable(forCache);
            statement.close();
        }

        /** What an execution, or a batch of several, answers. */
        String run(String sql, List<List<Value>> batch) throws SQLException {
            PreparedStatement statement = statement(sql);
            try {
                if (sql.startsWith("SELECT")) {
                    bind(statement, batch.get(0));
                    return shown(statement.executeQuery());
                }
                if (batch.size() == 1) {
                    bind(statement, batch.get(0));
                    return "affected " + statement.executeUpdate();
                }
                for (List<Value> parameters : batch) {
                    bind(statement, parameters);
                    statement.addBatch();
                }
                return "affected " + Arrays.toString(statement.executeBatch());
            } catch (BatchUpdateException error) {
                return error(error) + Arrays.toString(error.getUpdateCounts());
            } catch (SQLException error) {
                return error(error);
            }
        }

        /** The same with the rows that it leaves, which are put back. */
        String write(String sql, List<List<Value>> batch, boolean transaction) throws SQLException {
            try (Statement plain = connection.createStatement()) {
                connection.setAutoCommit(!transaction);
                String answer = run(sql, batch);
                answer += "\n" + shown(plain.executeQuery("SELECT * FROM changed ORDER BY id"));
                if (transaction) {
                    connection.rollback();
                    connection.setAutoCommit(true);
                } else {
                    fill(plain);
                }
                return answer;
            }
        }

        static void fill(Statement plain) throws SQLException {
            plain.executeUpdate("DELETE FROM changed");
            plain.executeUpdate("INSERT INTO changed VALUES " + rows);
        }
    }

    /** The number: which row a message names depends on the shard that comes first. */
    static String error(SQLException error) {
        String refusal = error.getMessage().contains(LOST) ? LOST : "";
        return "error " + error.getErrorCode() + refusal;
    }

    static void bind(PreparedStatement statement, List<Value> parameters) throws SQLException {
        for (int at = 1; at <= parameters.size(); at++) {
            Value value = parameters.get(at - 1);
            switch (value.kind) {
                case "int" -> statement.setLong(at, Long.parseLong(value.text));
                case "text" -> statement.setString(at, value.text);
                case "decimal" -> statement.setBigDecimal(at, new BigDecimal(value.text));
                case "double" -> statement.setDouble(at, Double.parseDouble(value.text));
                case "date" -> statement.setDate(at, java.sql.Date.valueOf(value.text));
                case "bool" -> statement.setBoolean(at, Boolean.parseBoolean(value.text));
                case "bytes" -> statement.setBytes(at, value.text.getBytes(StandardCharsets.UTF_8));
                default -> statement.setNull(at, Types.NULL);
            }
        }
    }

    static String shown(ResultSet rows) throws SQLException {
        StringBuilder text = new StringBuilder();
        ResultSetMetaData columns = rows.getMetaData();
        for (int at = 1; at <= columns.getColumnCount(); at++)
            text.append(columns.getColumnLabel(at)).append(' ').append(columns.getColumnTypeName(at)).append(' ');
        while (rows.next())
            for (int at = 1; at <= columns.getColumnCount(); at++)
                text.append(at == 1 ? "\n" : " ").append(rows.getString(at));
        rows.close();
        return text.toString();
    }

    /** One session: mostly of one type for each parameter, every fourth text of any. */
    static void session(int number, String[] arguments) throws SQLException {
        Random random = new Random(number);
        boolean anew = arguments[5].equals("ANEW");
        Side direct = new Side(arguments[1], arguments[2], arguments[6]);
        Side proxied = new Side(arguments[3], arguments[4], arguments[6]);
        List<String> kinds = List.copyOf(values.keySet());
        Map<String, List<String>> liked = new HashMap<>();
        for (String sql : statements) {
            int count = (int) sql.chars().filter(letter -> letter == '?').count();
            liked.put(sql, random.ints(count, 0, kinds.size()).mapToObj(kinds::get).toList());
        }
        for (int step = 0; step < STEPS; step++) {
            int at = random.nextInt(statements.size());
            String sql = statements.get(at);
            boolean changes = (at + number) % 4 == 0, reads = sql.startsWith("SELECT");
            List<List<Value>> batch = new ArrayList<>();
            for (int left = reads || anew || random.nextBoolean() ? 1 : 3; left > 0; left--)
                batch.add(liked.get(sql).stream()
                    .map(kind -> changes ? kinds.get(random.nextInt(kinds.size())) : kind)
                    .map(kind -> random.nextInt(8) == 0 ? new Value("null", "") : pick(random, kind)).toList());
            if (anew) direct.close(sql, false);
            boolean transaction = !reads && random.nextBoolean();
            String expected, got;
            if (reads) {
                expected = direct.run(sql, batch);
                got = proxied.run(sql, batch);
            } else {
                synchronized (WRITING) {
                    expected = direct.write(sql, batch, transaction);
                    got = proxied.write(sql, batch, transaction);
                }
            }
            executions.addAndGet(batch.size());
            // In a transaction the connection that knows the types of a NULL or a text may be another one.
            if (got.contains(LOST) && (changes || transaction)) {
                refused.incrementAndGet();
            } else if (!got.equals(expected)) {
                failures.putIfAbsent(sql, batch + "\nserver: " + expected + "\nproxy:  " + got);
            }
            if (random.nextInt(20) == 0 || got.contains(LOST)) {
                direct.close(sql, !anew && !got.contains(LOST));
                proxied.close(sql, !got.contains(LOST));
            }
        }
        direct.connection.close();
        proxied.connection.close();
    }

    static Value pick(Random random, String kind) {
        List<Value> all = values.get(kind);
        return all.get(random.nextInt(all.size()));
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        statements = Files.readAllLines(folder.resolve("statements.txt"));
        rows = Files.readString(folder.resolve("rows.sql"));
        values = Files.readAllLines(folder.resolve("values.txt")).stream().map(line -> line.split(" ", 2))
            .map(parts -> new Value(parts[0], parts[1]))
            .collect(Collectors.groupingBy(Value::kind, TreeMap::new, Collectors.toList()));
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < SESSIONS; number++) {
            int mine = number;
            threads.add(new Thread(() -> {
                try {
                    session(mine, arguments);
                } catch (Exception error) {
                    failures.put("session " + mine, error.toString());
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        failures.forEach((sql, text) -> System.out.println("FAILED " + sql + "\n" + text));
        System.out.println("note: " + executions + " executions, " + refused + " refused");
        System.out.println(Math.max(0, statements.size() - failures.size()) + " passed, " + failures.size() + " failed");
    }
}
