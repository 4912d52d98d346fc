package forecast_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/forecast"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// example is a migration whose locks are foretold, and then looked at.
type example struct {
	where, schema, text string
}

// rows are put into the examples' schema, so that what looks at rows finds some.
const exampleRows = `
INSERT INTO users (email, name, age, country) SELECT 'u' || n, 'n' || n, n, 'CH' FROM generate_series(1, 5) n;
INSERT INTO orders (id, user_id, total, placed_at) SELECT n, n, n, now() FROM generate_series(1, 5) n;
INSERT INTO events SELECT n, '2025-03-01', 'x' FROM generate_series(1, 5) n;
`

const corpusRows = `
INSERT INTO customers (email, nickname) SELECT 'c' || n, 'n' || n FROM generate_series(1, 5) n;
INSERT INTO products (id, sku, title) SELECT n, 's' || n, 't' || n FROM generate_series(1, 5) n;
INSERT INTO orders (id, customer_id) SELECT n, n FROM generate_series(1, 5) n;
INSERT INTO order_lines (order_id, line, product_id) SELECT n, 1, n FROM generate_series(1, 5) n;
INSERT INTO logs SELECT n, '2024-05-01', 'k', 'b' FROM generate_series(1, 5) n;
INSERT INTO audit SELECT n, 'w' FROM generate_series(1, 5) n;
`

// examples are those of all hazards that this version of PostgreSQL knows.
func examples() []example {
	var all []example
	major := server.Version().Major
	for _, h := range lint.Hazards() {
		schema := lint.ExampleSchema + exampleRows + h.Setup
		if h.Since <= major {
			all = append(all, example{h.ID.String() + ", bad", schema, h.Bad})
		}
		if max(h.Since, h.GoodSince) <= major {
			good := schema
			for i, text := range h.Good {
				all = append(all, example{fmt.Sprintf("%s, good %d", h.ID.String(), i+1), good, text})
				good += ";\n" + text
			}
		}
	}
	return all
}

// allEnvironment asks for every case of package lint. Without it every third is
// taken: lint/rehearsal compares the locks of all of them, in fewer ways.
const allEnvironment = "WHIMBREL_TEST_ALL"

// corpus reads the cases of package lint, and those of this one.
func corpus(t testing.TB) []example {
	t.Helper()
	folder := filepath.Join("..", "lint", "corpus", "cases")
	schema, err := os.ReadFile(filepath.Join(folder, "schema.sql"))
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	require.NoError(t, err)
	own := filepath.Join("testdata", "locks.txt")
	var all []example
	for _, file := range append(files, own) {
		every := 3
		if file == own || os.Getenv(allEnvironment) != "" {
			every = 1
		}
		number := 0
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		line := 1
		for block := range strings.SplitSeq(string(content), "\n\n") {
			if e, ok := readExample(block, string(schema)+corpusRows); ok {
				e.where = fmt.Sprintf("%s:%d", filepath.Base(file), line)
				if number++; number%every == 0 {
					all = append(all, e)
				}
			}
			line += strings.Count(block, "\n") + 2
		}
	}
	return all
}

// readExample reads a case; lint/corpus/cases/columns.txt says how it is written.
func readExample(block, schema string) (example, bool) {
	e := example{schema: schema}
	named := false
	var body []string
	for line := range strings.SplitSeq(strings.Trim(block, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case !named && (strings.HasPrefix(line, "safe: ") || strings.HasPrefix(line, "hazard ") || strings.HasPrefix(line,
			"locks: ")):
			named = true
		case strings.HasPrefix(line, "+since "):
			since, _ := strconv.Atoi(strings.TrimPrefix(line, "+since "))
			named = named && since <= server.Version().Major
		case strings.HasPrefix(line, "+until "):
			until, _ := strconv.Atoi(strings.TrimPrefix(line, "+until "))
			named = named && until >= server.Version().Major
		case line == "+none":
			e.schema = ""
		case strings.HasPrefix(line, "+ "):
			e.schema += "\n" + strings.TrimPrefix(line, "+ ")
		default:
			body = append(body, line)
		}
	}
	e.text = strings.Join(body, "\n")
	return e, named
}

// tally counts what was compared.
type tally struct {
	sync.Mutex
	statements, alone, more, unknown, refused int
	otherwise                                 []string
}

func (c *tally) count(into *int) {
	c.Lock()
	defer c.Unlock()
	*into++
}

func (c *tally) differs(format string, arguments ...any) {
	c.Lock()
	defer c.Unlock()
	c.otherwise = append(c.otherwise, fmt.Sprintf(format, arguments...))
}

func TestTheLocksThatAreForetoldAreThoseInPgLocks(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]example{"examples": examples(), "corpus": corpus(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &tally{}
			t.Run("all", func(t *testing.T) {
				for _, e := range all {
					t.Run(e.where, func(t *testing.T) {
						t.Parallel()
						c.compare(t, e)
					})
				}
			})
			slices.Sort(c.otherwise)
			t.Logf("%d examples: %d statements and %d outside of transactions compared, %d weak locks foretold that were not "+
				"needed, %d statements said to be unknown, %d refused by the server; otherwise than foretold: %d\n%s",
				len(all), c.statements, c.alone, c.more, c.unknown, c.refused, len(c.otherwise), strings.Join(c.otherwise, "\n"))
			require.GreaterOrEqual(t, c.statements, 150)
			require.Empty(t, c.otherwise)
			require.Less(t, c.more, c.statements/10)
		})
	}
}

// templates are databases with a schema, made once for all examples that need it.
var templates sync.Map // schema to func() (name string, err error)

var copies struct {
	sync.Mutex
	n int
}

// copied gives a database of a schema.
func copied(t testing.TB, schema string) (url string, ok bool) {
	t.Helper()
	once, _ := templates.LoadOrStore(schema, sync.OnceValues(func() (string, error) {
		copies.Lock()
		copies.n++
		name := fmt.Sprintf("schema_%d", copies.n)
		copies.Unlock()
		if err := server.CreateDatabase(context.Background(), name, ""); err != nil {
			return "", err
		}
		conn, err := pgx.Connect(context.Background(), server.URL(name))
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close(context.Background()) }()
		statements, err := migration.Parse("1_schema.sql", schema)
		if err != nil {
			return "", err
		}
		for _, s := range statements.Up.Statements {
			if _, err := conn.Exec(context.Background(), s.Text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return "", fmt.Errorf("%s: %w", s.Text, err)
			}
		}
		return name, nil
	}))
	template, err := once.(func() (string, error))()
	if err != nil {
		return "", false // what the example is on is not for this version
	}
	copies.Lock()
	defer copies.Unlock() // a template bears one copy at a time
	copies.n++
	name := fmt.Sprintf("copy_%d", copies.n)
	require.NoError(t, server.CreateDatabase(t.Context(), name, template))
	t.Cleanup(func() { _ = server.DropDatabase(context.Background(), name) })
	return server.URL(name), true
}

// compare foretells the locks of an example and looks at those that it takes.
func (c *tally) compare(t *testing.T, e example) {
	url, ok := copied(t, e.schema)
	if !ok {
		c.count(&c.refused)
		return
	}
	plan, err := migrator(t, url, parse(t, e.text)).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err, e.text)
	m := study(t, url, plan).Migrations[0]
	conn := connect(t, url)
	before := tables(t, conn)
	for i, step := range plan.Migrations[0].Steps {
		told := m.Steps[i]
		if step.Kind == whimbrel.StepAlone {
			if !c.outside(t, url, conn, e, step.Statements[0], told) {
				return
			}
			continue
		}
		exec(t, conn, "BEGIN")
		for _, s := range plan.Migrations[0].Migration.Settings {
			_, err := conn.Exec(t.Context(), "SELECT set_config($1, $2, true)", s.Name, s.Value)
			require.NoError(t, err)
		}
		for j, statement := range step.Statements {
			if !send(t, conn, statement) {
				c.count(&c.refused)
				return
			}
			if told.Statements[j].Opaque {
				c.count(&c.unknown)
				return // it says that it does not know, and what follows may depend on it
			}
			c.count(&c.statements)
			if seen, foretold := held(t, conn, conn.PgConn().PID(), before), told.Held(j); !c.same(foretold, seen) {
				c.differs("%s, line %d: foretold %v, seen %v", e.where, statement.Start.Line, foretold, seen)
			}
		}
		exec(t, conn, "COMMIT; RESET ALL; RESET ROLE")
	}
}

// same compares locks. Those that stop nobody at work may be foretold and not taken:
// which partitions a statement leaves out, and whether there is a row for which a
// foreign key has to be looked up, shows when it runs. Every lock that is taken has
// to be foretold, and every lock that stops anybody as it is.
func (c *tally) same(foretold, seen map[string]lint.Mode) bool {
	for table, mode := range seen {
		if foretold[table] < mode {
			return false
		}
	}
	for table, mode := range foretold {
		switch {
		case seen[table] == mode:
		case mode >= lint.ShareUpdateExclusive:
			return false
		default:
			c.count(&c.more)
		}
	}
	return true
}

// outside compares a statement that runs outside a transaction, which keeps no lock to
// be looked at afterwards: somebody is in its way.
func (c *tally) outside(t *testing.T, url string, conn *pgx.Conn, e example, s migration.Statement,
	told forecast.Step) bool {
	if told.Statements[0].Opaque {
		c.count(&c.unknown)
		return false
	}
	before := tables(t, conn)
	names := lockable(t, conn)
	blocker, worker := connect(t, url), connect(t, url)
	exec(t, blocker, "BEGIN; SELECT pg_current_xact_id()")
	if len(names) > 0 && !strings.HasPrefix(s.Command, "VACUUM") {
		exec(t, blocker, "LOCK TABLE ONLY "+names+" IN ROW EXCLUSIVE MODE")
	} else if len(names) > 0 {
		exec(t, blocker, "LOCK TABLE ONLY "+names+" IN SHARE UPDATE EXCLUSIVE MODE")
	}
	done := make(chan error, 1)
	go func() { _, err := worker.Exec(t.Context(), s.Text, pgx.QueryExecModeSimpleProtocol); done <- err }()
	seen := map[string]lint.Mode{}
	waits, ended := false, false
	var failure error
	for !waits && !ended {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)",
			worker.PgConn().PID()).Scan(&waits))
		select {
		case failure = <-done:
			ended = true
		default:
		}
	}
	if !ended {
		for name, mode := range held(t, conn, worker.PgConn().PID(), before) {
			seen[name] = max(seen[name], mode)
		}
	}
	exec(t, blocker, "ROLLBACK")
	if !ended {
		failure = <-done
	}
	if failure != nil {
		c.count(&c.refused)
		return false
	}
	if ended || strings.Contains(s.Command, "DETACH") || strings.Contains(s.Text, "DETACH") {
		return true // it did not wait with its lock: there was nothing to be seen
	}
	c.count(&c.alone)
	for name, mode := range told.Held(0) {
		if mode >= lint.ShareUpdateExclusive && seen[name] != mode && seen[name] != lint.NoLock || len(seen) == 0 {
			c.differs("%s, line %d: foretold %s on %s, seen %v", e.where, s.Start.Line, mode, name, seen)
		}
	}
	for name, mode := range seen {
		if told.Held(0)[name] != mode {
			c.differs("%s, line %d: not foretold, seen %s on %s", e.where, s.Start.Line, mode, name)
		}
	}
	return true
}

// send runs a statement, and reports whether the server took it.
func send(t *testing.T, conn *pgx.Conn, s migration.Statement) bool {
	t.Helper()
	text := s.Text
	if s.Batch != nil {
		text = strings.NewReplacer(":from", "0", ":to", "1000000").Replace(text)
	}
	var err error
	if s.Data != nil {
		_, err = conn.PgConn().CopyFrom(t.Context(), strings.NewReader(*s.Data), text)
	} else {
		_, err = conn.PgConn().Exec(t.Context(), text).ReadAll()
	}
	var refused *pgconn.PgError
	if err != nil {
		require.ErrorAs(t, err, &refused)
	}
	return err == nil
}

// tables gives the names of what can be locked as a table, by its number.
func tables(t *testing.T, conn *pgx.Conn) map[uint32][]string {
	t.Helper()
	rows, err := conn.Query(t.Context(),
		`SELECT c.oid, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`)
	require.NoError(t, err)
	all := map[uint32][]string{}
	var oid uint32
	var schema, name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &schema, &name}, func() error {
		all[oid] = []string{schema, name}
		return nil
	})
	require.NoError(t, err)
	return all
}

// lockable gives the names of what LOCK TABLE can lock.
func lockable(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var names string
	require.NoError(t, conn.QueryRow(t.Context(),
		`SELECT coalesce(string_agg(c.oid::regclass::text, ', ONLY '), '') FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`).Scan(&names))
	return names
}

// held reads the strongest lock that a session has, or waits for, of each table.
func held(t *testing.T, conn *pgx.Conn, pid uint32, before map[uint32][]string) map[string]lint.Mode {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT relation, mode FROM pg_locks WHERE pid = $1 AND locktype = 'relation'",
		pid)
	require.NoError(t, err)
	all := map[string]lint.Mode{}
	var oid uint32
	var mode string
	_, err = pgx.ForEachRow(rows, []any{&oid, &mode}, func() error {
		if parts, was := before[oid]; was {
			name := lint.Name{Schema: parts[0], Object: parts[1]}.String()
			all[name] = max(all[name], pgsql.LockModeOf(mode))
		}
		return nil
	})
	require.NoError(t, err)
	return all
}
