// go-sql-driver/mysql, which prepares at the server: sessions that bind values of different types to
// the same texts, each at the server itself and through Geogate; all results must be equal.
//
// Called by tests/drivers/typed.sh: FOLDER SERVER_PORT DATABASE PROXY_PORT KEYSPACE KEPT|ANEW. With
// ANEW the server's side prepares for each execution, because over shards each one begins with the types
// of PREPARE; with KEPT it does not.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	sessions = 6
	steps    = 150
	lost     = "GG15010"
)

var (
	background = context.Background()
	statements = lines("statements.txt")
	rows       = strings.Join(lines("rows.sql"), "\n")
	kinds      []string
	values     = map[string][]interface{}{}

	writing, counting   sync.Mutex
	failures            = map[string]string{}
	executions, refused int
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func lines(name string) []string {
	text, err := os.ReadFile(filepath.Join(os.Args[1], name))
	must(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// A value as the driver takes it; it has no decimals, they are sent as text.
func value(kind, text string) (interface{}, error) {
	switch kind {
	case "int":
		return strconv.ParseInt(text, 10, 64)
	case "double":
		return strconv.ParseFloat(text, 64)
	case "date":
		return time.Parse("2006-01-02", text)
	case "bool":
		return strconv.ParseBool(text)
	case "bytes":
		return []byte(text), nil
	}
	return text, nil
}

// A connection, with its statements as long as they are open.
type side struct {
	connection *sql.Conn
	open       map[string]*sql.Stmt
}

func connect(port, database string) *side {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", "127.0.0.1:"+port, database
	config.User, config.Passwd, config.TLSConfig = "driver", "driver", "skip-verify"
	db, err := sql.Open("mysql", config.FormatDSN())
	must(err)
	connection, err := db.Conn(background)
	must(err)
	return &side{connection, map[string]*sql.Stmt{}}
}

func (s *side) exec(text string) {
	_, err := s.connection.ExecContext(background, text)
	must(err)
}

func (s *side) close(text string) {
	if statement := s.open[text]; statement != nil {
		must(statement.Close())
		delete(s.open, text)
	}
}

// What executions, one after another, answer.
func (s *side) run(text string, batch [][]interface{}) string {
	statement := s.open[text]
	if statement == nil {
		var err error
		if statement, err = s.connection.PrepareContext(background, text); err != nil {
			return problem(err)
		}
		s.open[text] = statement
	}
	answer := ""
	for _, parameters := range batch {
		if strings.HasPrefix(text, "SELECT") {
			answer += shown(statement.Query(parameters...))
			continue
		}
		result, err := statement.Exec(parameters...)
		if err != nil {
			return answer + problem(err)
		}
		affected, err := result.RowsAffected()
		must(err)
		answer += fmt.Sprintln("affected", affected)
	}
	return answer
}

// The same with the rows that they leave, which are put back.
func (s *side) write(text string, batch [][]interface{}, transaction bool) string {
	if transaction {
		s.exec("BEGIN")
	}
	answer := s.run(text, batch)
	answer += shown(s.connection.QueryContext(background, "SELECT * FROM changed ORDER BY id"))
	if transaction {
		s.exec("ROLLBACK")
	} else {
		s.exec("DELETE FROM changed")
		s.exec("INSERT INTO changed VALUES " + rows)
	}
	return answer
}

// The number: which row a message names depends on the shard that comes first.
func problem(err error) string {
	var server *mysql.MySQLError
	if !errors.As(err, &server) || strings.Contains(server.Message, lost) {
		return "error " + err.Error()
	}
	return fmt.Sprint("error ", server.Number)
}

func shown(rows *sql.Rows, err error) string {
	if err != nil {
		return problem(err)
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	must(err)
	text := ""
	fields, places := make([]interface{}, len(columns)), make([]interface{}, len(columns))
	for at, column := range columns {
		text += column.Name() + " " + column.DatabaseTypeName() + " "
		places[at] = &fields[at]
	}
	for rows.Next() {
		must(rows.Scan(places...))
		text += "\n"
		for _, field := range fields {
			if raw, ok := field.([]byte); ok {
				field = string(raw)
			}
			text += fmt.Sprintf("%#v ", field)
		}
	}
	if rows.Err() != nil {
		return text + problem(rows.Err())
	}
	return text
}

// One session: mostly of one type for each parameter, every fourth text of any.
func session(number int) {
	random := rand.New(rand.NewSource(int64(number)))
	direct, proxied := connect(os.Args[2], os.Args[3]), connect(os.Args[4], os.Args[5])
	defer direct.connection.Close()
	defer proxied.connection.Close()
	anew := os.Args[6] == "ANEW"
	liked := map[string][]string{}
	for _, text := range statements {
		for count := strings.Count(text, "?"); count > 0; count-- {
			liked[text] = append(liked[text], kinds[random.Intn(len(kinds))])
		}
	}
	for step := 0; step < steps; step++ {
		at := random.Intn(len(statements))
		text := statements[at]
		changes, reads := (at+number)%4 == 0, strings.HasPrefix(text, "SELECT")
		batch := make([][]interface{}, 1)
		if !reads && !anew && random.Intn(2) == 0 {
			batch = make([][]interface{}, 3)
		}
		for row := range batch {
			for _, kind := range liked[text] {
				if changes {
					kind = kinds[random.Intn(len(kinds))]
				}
				var one interface{}
				if random.Intn(8) > 0 {
					one = values[kind][random.Intn(len(values[kind]))]
				}
				batch[row] = append(batch[row], one)
			}
		}
		if anew {
			direct.close(text)
		}
		transaction := !reads && random.Intn(2) == 0
		var expected, got string
		if reads {
			expected, got = direct.run(text, batch), proxied.run(text, batch)
		} else {
			writing.Lock()
			expected = direct.write(text, batch, transaction)
			got = proxied.write(text, batch, transaction)
			writing.Unlock()
		}
		// In a transaction the connection that knows the types of a NULL or a text may be another one.
		note(text, batch, changes || transaction, expected, got)
		if random.Intn(20) == 0 || strings.Contains(got, lost) {
			direct.close(text)
			proxied.close(text)
		}
	}
}

func note(text string, batch [][]interface{}, refusable bool, expected, got string) {
	counting.Lock()
	defer counting.Unlock()
	executions += len(batch)
	if refusable && strings.Contains(got, lost) {
		refused++
	} else if got != expected && failures[text] == "" {
		failures[text] = fmt.Sprintf("%v\nserver: %s\nproxy:  %s", batch, expected, got)
	}
}

func main() {
	for _, line := range lines("values.txt") {
		parts := strings.SplitN(line, " ", 2)
		one, err := value(parts[0], parts[1])
		must(err)
		if values[parts[0]] == nil {
			kinds = append(kinds, parts[0])
		}
		values[parts[0]] = append(values[parts[0]], one)
	}
	var running sync.WaitGroup
	for number := 0; number < sessions; number++ {
		running.Add(1)
		go func(number int) {
			defer running.Done()
			session(number)
		}(number)
	}
	running.Wait()
	for text, failure := range failures {
		fmt.Printf("FAILED %s\n%s\n", text, failure)
	}
	fmt.Printf("note: %d executions, %d refused\n", executions, refused)
	fmt.Printf("%d passed, %d failed\n", len(statements)-len(failures), len(failures))
}
