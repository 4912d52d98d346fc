package schema_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/schema"
)

// server is the PostgreSQL that all tests of this package share; each test has
// databases of its own in it.
var server *devdb.Server

// majorEnvironment picks the major version of PostgreSQL that the tests run on;
// the machine's own where it is not set.
const majorEnvironment = "WHIMBREL_TEST_PG_MAJOR"

func TestMain(m *testing.M) {
	var err error
	options := devdb.Options{}
	if text := os.Getenv(majorEnvironment); text != "" {
		if options.Major, err = strconv.Atoi(text); err != nil {
			fmt.Fprintln(os.Stderr, majorEnvironment+":", err)
			os.Exit(1)
		}
	}
	server, err = devdb.Start(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	if err := prepare(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "preparing the server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// template is a database with one of everything, which tests copy.
const template = "everything"

// prepare makes what the tests share: the roles of the server, and the template.
func prepare(ctx context.Context) error {
	if err := run(ctx, server.URL("postgres"), "roles.sql"); err != nil {
		return err
	}
	if err := server.CreateDatabase(ctx, template, "template0"); err != nil {
		return err
	}
	return run(ctx, server.URL(template), everything(server)...)
}

// everything are the files that make one of everything that a server knows.
func everything(s *devdb.Server) []string {
	files := []string{"everything.sql"}
	for _, since := range []int{14, 15, 18} {
		if s.Version().Major >= since {
			files = append(files, fmt.Sprintf("everything_%d.sql", since))
		}
	}
	return files
}

// run runs files of testdata in a database.
func run(ctx context.Context, url string, files ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			return err
		}
		for _, statement := range statements(string(text)) {
			if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w\n%s", file, err, statement)
			}
		}
	}
	return conn.Close(ctx) // a database that somebody is connected to cannot be copied
}

// statements takes a text apart at the semicolons at the end of lines, except between $$ and $$.
func statements(text string) []string {
	var all []string
	var statement string
	quoted := false
	for line := range strings.Lines(text) {
		statement += line
		quoted = quoted != (strings.Count(line, "$$")%2 == 1)
		if !quoted && strings.HasSuffix(strings.TrimSpace(line), ";") {
			all, statement = append(all, statement), ""
		}
	}
	return append(all, statement)
}

// copied gives a connection to a database of the test's own with one of everything in it.
func copied(t testing.TB) *pgx.Conn {
	t.Helper()
	name := "copy_" + strings.ToLower(rand.Text()[:12])
	require.NoError(t, server.CreateDatabase(context.Background(), name, template))
	t.Cleanup(func() { _ = server.DropDatabase(context.Background(), name) })
	return connect(t, server.URL(name))
}

// modern is a server that can run the example shop, which needs PostgreSQL 14.
func modern(t *testing.T) *devdb.Server {
	t.Helper()
	if server.Version().Major >= 14 {
		return server
	}
	own, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	return own
}

// fresh gives a connection to an empty database of the test's own.
func fresh(t testing.TB) *pgx.Conn {
	t.Helper()
	url, drop, err := server.FreshDatabase(context.Background())
	require.NoError(t, err)
	t.Cleanup(drop)
	return connect(t, url)
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// execute runs statements, each on its own.
func execute(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	for _, statement := range statements(sql) {
		_, err := conn.PgConn().Exec(context.Background(), statement).ReadAll()
		require.NoError(t, err, statement)
	}
}

func read(t testing.TB, conn *pgx.Conn) schema.Schema {
	t.Helper()
	s, err := schema.Read(context.Background(), conn, schema.Options{})
	require.NoError(t, err)
	return s
}
