// go-sql-driver/mysql against Geogate or a plain server: login, types, errors, transactions, each
// once with prepared statements (the driver's way) and once with text queries (interpolateParams).
//
// Called by tests/drivers/run.sh: HOST PORT DATABASE USER PASSWORD TLS(yes|no) MODE(table|demo).
// Prints one line `N passed, N failed` and exits with 1 if anything failed.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

var host, port, database, user, password, tls, mode = arguments()

func arguments() (a, b, c, d, e, f, g string) {
	if len(os.Args) != 8 {
		fmt.Fprintln(os.Stderr, "usage: HOST PORT DATABASE USER PASSWORD TLS MODE")
		os.Exit(2)
	}
	v := os.Args
	return v[1], v[2], v[3], v[4], v[5], v[6], v[7]
}

func open(text bool, password string) *sql.DB {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", host+":"+port, database
	config.User, config.Passwd = user, password
	config.ParseTime, config.InterpolateParams = true, text
	config.Collation = "utf8mb4_general_ci"
	config.Timeout, config.ReadTimeout = 10*time.Second, 30*time.Second
	if tls == "yes" {
		config.TLSConfig = "skip-verify"
	}
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		panic(err)
	}
	return db
}

func expect(wanted, got interface{}) {
	if wanted != got {
		panic(fmt.Sprintf("expected %v, got %v", wanted, got))
	}
}

func expectError(number uint16, err error) {
	var server *mysql.MySQLError
	if !errors.As(err, &server) {
		panic(fmt.Sprintf("expected error %d, got %v", number, err))
	}
	expect(number, server.Number)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func exec(db interface {
	Exec(string, ...interface{}) (sql.Result, error)
}, text string, args ...interface{}) sql.Result {
	result, err := db.Exec(text, args...)
	must(err)
	return result
}

func affected(result sql.Result) int64 {
	count, err := result.RowsAffected()
	must(err)
	return count
}

func checkLogin(db *sql.DB) {
	must(db.Ping())
	var number int
	must(db.QueryRow("SELECT 1").Scan(&number))
	expect(1, number)
}

func checkWrongPassword(*sql.DB) {
	wrong := open(false, password+"x")
	defer wrong.Close()
	expectError(1045, wrong.Ping())
}

func checkTypes(db *sql.DB) {
	var small int64
	var large uint64
	var decimal, text string
	var real float64
	var null sql.NullString
	var raw []byte
	var day, moment time.Time
	var clock string
	row := db.QueryRow(`SELECT ?, 18446744073709551615, 1.50, 1.5e0, NULL, ?, x'00ff',
		DATE '2024-02-29', TIMESTAMP '2024-02-29 12:34:56.789', TIME '-10:20:30'`, -5, "zürich 李雷 🦀")
	must(row.Scan(&small, &large, &decimal, &real, &null, &text, &raw, &day, &moment, &clock))
	expect(int64(-5), small)
	expect(uint64(18446744073709551615), large)
	expect("1.50", decimal)
	expect(1.5, real)
	expect(false, null.Valid)
	expect("zürich 李雷 🦀", text)
	expect(true, bytes.Equal(raw, []byte{0, 255}))
	expect(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), day)
	expect(time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC), moment)
	expect("-10:20:30", strings.TrimSuffix(clock, ".000000"))
}

func checkLargeValues(db *sql.DB) {
	text := strings.Repeat("x", 300000)
	var got string
	must(db.QueryRow("SELECT ?", text).Scan(&got))
	expect(true, got == text)
}

func checkErrors(db *sql.DB) {
	_, err := db.Exec("SELEC 1")
	expectError(1064, err)
	_, err = db.Query("SELECT * FROM no_such_table WHERE id = ?", 1)
	expectError(1146, err)
	checkLogin(db)
}

func checkReusedStatement(db *sql.DB) {
	statement, err := db.Prepare("SELECT ? + 1, ?")
	must(err)
	defer statement.Close()
	for number := 0; number < 50; number++ {
		var sum int
		var text sql.NullString
		value := interface{}(fmt.Sprint(number))
		if number%3 == 0 {
			value = nil
		}
		must(statement.QueryRow(number, value).Scan(&sum, &text))
		expect(number+1, sum)
		expect(number%3 != 0, text.Valid)
	}
}

func checkSessionState(db *sql.DB) {
	connection, err := db.Conn(context.Background())
	must(err)
	defer connection.Close()
	_, err = connection.ExecContext(context.Background(), "SET @mine = 42")
	must(err)
	var mine sql.NullInt64
	must(connection.QueryRowContext(context.Background(), "SELECT @mine").Scan(&mine))
	expect(int64(42), mine.Int64)
	other := open(false, password)
	defer other.Close()
	must(other.QueryRow("SELECT @mine").Scan(&mine))
	expect(false, mine.Valid)
}

func checkWrites(db *sql.DB) {
	exec(db, "DELETE FROM driver_rows WHERE id BETWEEN 300 AND 399")
	result := exec(db, "INSERT INTO driver_rows (id, k, v) VALUES (?, ?, ?), (?, ?, ?)",
		300, 1, "one", 301, nil, nil)
	expect(int64(2), affected(result))
	expect(int64(1), affected(exec(db, "UPDATE driver_rows SET k = ? WHERE id = ?", 7, 300)))
	expect(int64(0), affected(exec(db, "UPDATE driver_rows SET k = ? WHERE id = ?", 7, 300)))
	rows, err := db.Query("SELECT id, k, v FROM driver_rows WHERE id BETWEEN ? AND ? ORDER BY id", 300, 399)
	must(err)
	defer rows.Close()
	var found []string
	for rows.Next() {
		var id int64
		var k sql.NullInt64
		var v sql.NullString
		must(rows.Scan(&id, &k, &v))
		found = append(found, fmt.Sprint(id, k, v))
	}
	must(rows.Err())
	expect("[300 {7 true} {one true} 301 {0 false} { false}]", fmt.Sprint(found))
	_, err = db.Exec("INSERT INTO driver_rows (id) VALUES (?)", 300)
	expectError(1062, err)
}

func checkLastInsertID(db *sql.DB) {
	first, err := exec(db, "INSERT INTO driver_numbers (v) VALUES (?)", "a").LastInsertId()
	must(err)
	second, err := exec(db, "INSERT INTO driver_numbers (v) VALUES (?), (?)", "b", "c").LastInsertId()
	must(err)
	expect(true, first > 0 && second > first)
}

func checkTransactions(db *sql.DB) {
	exec(db, "DELETE FROM driver_rows WHERE id = 400")
	count := func() (n int) {
		must(db.QueryRow("SELECT COUNT(*) FROM driver_rows WHERE id = ?", 400).Scan(&n))
		return n
	}
	tx, err := db.Begin()
	must(err)
	exec(tx, "INSERT INTO driver_rows (id) VALUES (?)", 400)
	expect(0, count())
	must(tx.Rollback())
	expect(0, count())
	tx, err = db.Begin()
	must(err)
	exec(tx, "INSERT INTO driver_rows (id) VALUES (?)", 400)
	must(tx.Commit())
	expect(1, count())
}

func checkDemo(db *sql.DB) {
	var total, regions, sum int
	must(db.QueryRow("SELECT COUNT(*) FROM customers").Scan(&total))
	rows, err := db.Query("SELECT region, COUNT(*) FROM customers GROUP BY region")
	must(err)
	defer rows.Close()
	for rows.Next() {
		var region, count int
		must(rows.Scan(&region, &count))
		regions++
		sum += count
	}
	must(rows.Err())
	expect(3, regions)
	expect(total, sum)
	result := exec(db, "INSERT INTO customers (region, name, email, country, joined) VALUES (?, ?, ?, ?, ?)",
		3, "Priya", "priya@example.org", "IN", "2024-01-01")
	number, err := result.LastInsertId()
	must(err)
	var name string
	must(db.QueryRow("SELECT name FROM customers WHERE region = ? AND id = ?", 3, number).Scan(&name))
	expect("Priya", name)
	result = exec(db, "DELETE FROM customers WHERE region = ? AND id = ?", 3, number)
	expect(int64(1), affected(result))
}

func main() {
	checks := []struct {
		name string
		run  func(*sql.DB)
	}{
		{"login", checkLogin}, {"wrong password", checkWrongPassword}, {"types", checkTypes},
		{"large values", checkLargeValues}, {"errors", checkErrors},
		{"reused statement", checkReusedStatement}, {"session state", checkSessionState},
	}
	table := []struct {
		name string
		run  func(*sql.DB)
	}{{"writes", checkWrites}, {"last insert id", checkLastInsertID}, {"transactions", checkTransactions}}
	if mode == "demo" {
		table = table[:1]
		table[0].name, table[0].run = "demo", checkDemo
	}
	passed, failed := 0, 0
	for _, text := range []bool{false, true} {
		for _, check := range append(checks, table...) {
			func() {
				db := open(text, password)
				defer db.Close()
				defer func() {
					if problem := recover(); problem != nil {
						failed++
						fmt.Printf("FAILED %s (text %v): %v\n", check.name, text, problem)
						return
					}
					passed++
				}()
				check.run(db)
			}()
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
