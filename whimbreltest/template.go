package whimbreltest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
)

// The names of our databases. A template bears its final name only when it is
// whole, so that anyone who finds it can copy it.
const (
	templatePrefix   = "whimbreltest_template_" // and the key of the recipe
	unfinishedPrefix = "whimbreltest_new_"      // and the key of the recipe
	testPrefix       = "whimbreltest_"          // and the time, and something random
	timeLayout       = "20060102150405"
)

// The SQLSTATEs that are told apart; see https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	noSuchDatabase = "3D000"
	noPrivilege    = "42501"
)

// create makes a database by the recipe and gives its name. The template is
// made where it is missing, by one process while all others wait.
func (s *server) create(ctx context.Context, r recipe) (string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer dial.Close(conn)
	key, err := r.key(conn.PgConn().ParameterStatus("server_version"), conn.Config().User)
	if err != nil {
		return "", err
	}
	name := testPrefix + time.Now().UTC().Format(timeLayout) + "_" + strings.ToLower(rand.Text()[:10])
	err = s.copy(ctx, conn, name, templatePrefix+key)
	if hasState(err, noSuchDatabase) {
		if err = s.prepare(ctx, conn, key, r); err == nil {
			err = s.copy(ctx, conn, name, templatePrefix+key)
		}
	}
	return name, err
}

func (s *server) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := dial.Parse(s.address.maintenance())
	if err != nil {
		return nil, err
	}
	conn, err := dial.Open(ctx, config)
	if err != nil {
		if !s.own {
			err = fmt.Errorf("connecting to the server that %s names: %w; start it, correct the URL, or unset the variable to "+
				"have a server started", urlVariable, err)
		}
		return nil, err
	}
	version := conn.PgConn().ParameterStatus("server_version")
	if s.major != 0 && majorOf(version) != s.major {
		dial.Close(conn)
		return nil, fmt.Errorf("the test wants PostgreSQL %d, and the server that %s names is %s; give it another one, or "+
			"unset the variable", s.major, urlVariable, version)
	}
	return conn, nil
}

// majorOf reads "15.18 (Debian …)" and "19beta1".
func majorOf(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	major, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return major
}

// copy creates a database from a template; "template0" is the empty one, which
// is always free to be copied. Copying files is faster than writing all pages to
// the log, and takes checkpoints, which a server of somebody else's may feel;
// see https://www.postgresql.org/docs/current/sql-createdatabase.html.
func (s *server) copy(ctx context.Context, conn *pgx.Conn, name, template string) error {
	sql := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template)
	if s.own && majorOf(conn.PgConn().ParameterStatus("server_version")) >= 15 {
		sql += " STRATEGY file_copy"
	}
	if _, err := conn.Exec(ctx, sql); err != nil {
		remedy := ""
		if hasState(err, noPrivilege) {
			remedy = fmt.Sprintf("; ALTER ROLE %s CREATEDB gives the right to", quote(conn.Config().User))
		}
		return fmt.Errorf("creating a database for the test: %w%s", err, remedy)
	}
	return nil
}

// prepare makes the template. PostgreSQL frees an advisory lock when its session
// ends: a process that is killed here holds up nobody, and what it has left
// behind is dropped by the next.
func (s *server) prepare(ctx context.Context, conn *pgx.Conn, key string, r recipe) error {
	lock := "whimbreltest " + key
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext($1))", pgx.QueryExecModeExec,
		lock); err != nil {
		return fmt.Errorf("waiting for another process that makes the template: %w", err)
	}
	defer func() { // the connection may be used on
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext($1))",
			pgx.QueryExecModeExec, lock)
	}()
	var made bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)",
		pgx.QueryExecModeExec, templatePrefix+key).Scan(&made)
	if err != nil || made {
		return err
	}
	if err := sweep(ctx, conn, time.Now()); err != nil {
		return err
	}
	return s.build(ctx, conn, key, r)
}

// build makes the template under another name. When it is whole, it is closed to
// everybody, since a session in it would keep it from being copied, and renamed.
func (s *server) build(ctx context.Context, conn *pgx.Conn, key string, r recipe) error {
	unfinished := unfinishedPrefix + key
	if err := dropDatabase(ctx, conn, unfinished); err != nil {
		return err
	}
	if err := s.copy(ctx, conn, unfinished, "template0"); err != nil {
		return err
	}
	err := execute(ctx, conn, "COMMENT ON DATABASE "+quote(unfinished)+" IS 'made "+time.Now().UTC().Format(timeLayout)+
		"'")
	if err == nil {
		err = s.migrate(ctx, unfinished, r)
	}
	if err == nil {
		err = execute(ctx, conn, "ALTER DATABASE "+quote(unfinished)+" WITH ALLOW_CONNECTIONS false")
	}
	if err == nil {
		err = execute(ctx, conn, "ALTER DATABASE "+quote(unfinished)+" RENAME TO "+quote(templatePrefix+key))
	}
	if err != nil {
		_ = dropDatabase(context.WithoutCancel(ctx), conn, unfinished) // the next one drops it, too
	}
	return err
}

func execute(ctx context.Context, conn *pgx.Conn, sql string) error {
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("making the template of test databases: %w", err)
	}
	return nil
}

func (s *server) migrate(ctx context.Context, database string, r recipe) error {
	config, err := dial.Parse(s.address.to(database))
	if err != nil {
		return err
	}
	if _, err := sandbox.Furnish(ctx, config, sandbox.Program{Furnishing: r.furnishing, Migrations: r.migrations,
		Functions: r.functions, Variables: r.variables, Guest: !s.own}); err != nil {
		return err
	}
	migrator, err := whimbrel.New(whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: s.address.to(database), Table: r.table},
		Project: whimbrel.Project{Migrations: r.migrations, Functions: r.functions, Scripts: r.scripts,
			Variables: r.variables, AcceptMarks: true},
		ToolVersion: "whimbreltest",
	})
	if err != nil {
		return err
	}
	_, err = migrator.Up(ctx, whimbrel.UpOptions{})
	return err
}

// drop removes a test's database, and ends sessions that are still in it.
func (s *server) drop(ctx context.Context, name string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer dial.Close(conn)
	return dropDatabase(ctx, conn, name)
}

func dropDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping the database %s: %w", name, err)
	}
	return nil
}

// keptLimit is how many kept databases stay on a server.
const keptLimit = 20

// keep ends what the test has left running in its database, notes for which
// test the database is kept, where psql's \l+ shows it, and drops the oldest kept
// ones beyond the limit.
func (s *server) keep(ctx context.Context, name, test string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer dial.Close(conn)
	comment, err := conn.PgConn().EscapeString("kept for " + test)
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE "+
			"datname = $1", pgx.QueryExecModeExec, name)
	}
	if err == nil {
		_, err = conn.Exec(ctx, "COMMENT ON DATABASE "+quote(name)+" IS '"+comment+"'")
	}
	if err != nil {
		return fmt.Errorf("noting that the database is kept: %w", err)
	}
	return dropAll(ctx, conn, "pg_catalog.shobj_description(d.oid, 'pg_database') LIKE 'kept for %' ORDER BY datname "+
		"DESC OFFSET $1", keptLimit)
}

// lifetime is how long databases stay on a server that is never ended.
const lifetime = 24 * time.Hour

// sweep drops what nobody can want any more: databases of tests that were
// killed, kept ones, and templates. The comment on a template says its age.
func sweep(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	return dropAll(ctx, conn, `(datname ~ '^whimbreltest_[0-9]{14}_' AND substr(datname, 14, 14) < $1
		OR datname ~ '^whimbreltest_(template|new)_' AND substr(pg_catalog.shobj_description(d.oid, 'pg_database'), 6) < $1)`,
		now.Add(-lifetime).UTC().Format(timeLayout))
}

// dropAll drops those of the role's own databases that meet the condition and
// that nobody is connected to. It is a courtesy: what cannot be dropped is left
// to the next.
func dropAll(ctx context.Context, conn *pgx.Conn, condition string, argument any) error {
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_catalog.pg_database d
		WHERE pg_catalog.pg_get_userbyid(datdba) = current_user AND starts_with(datname, 'whimbreltest_')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) AND `+condition,
		pgx.QueryExecModeExec, argument)
	if err != nil {
		return fmt.Errorf("looking for databases that are no longer needed: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking for databases that are no longer needed: %w", err)
	}
	for _, name := range names {
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name))
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func hasState(err error, state string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == state
}
