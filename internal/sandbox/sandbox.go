// Package sandbox makes throw-away databases what the real ones are before the first
// migration: it furnishes them with roles, extensions, settings and the schema of a
// platform, as package devdb's Furnishing says.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Program is what is going to run in a database.
type Program struct {
	Furnishing devdb.Furnishing
	Migrations []migration.Migration // hooks too, if they run
	Functions  []whimbrel.Function
	Variables  map[string]string // their values
	// Guest is set where the server is somebody's who gets no role that was not asked for.
	Guest bool
}

// SQLSTATEs; see https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	duplicateObject = "42710"
	uniqueViolation = "23505" // of two who create the same at once
	noPrivilege     = "42501"
)

// Furnish furnishes an empty database, and gives the roles that it has created on its
// server. A *whimbrel.Error says what cannot be had.
func Furnish(ctx context.Context, config *pgx.ConnConfig, p Program) (created []string, err error) {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // what is asked for changes meanwhile
	f := &furnisher{program: p}
	if err := f.with(ctx, config, f.surroundings); err != nil {
		return f.created, err
	}
	if len(p.Furnishing.Prepare) > 0 { // in a session that has the settings
		if err := f.with(ctx, config, f.prepare); err != nil {
			return f.created, err
		}
	}
	return f.created, f.with(ctx, config, f.others)
}

// furnisher is one Furnish.
type furnisher struct {
	program Program
	have    map[string]bool // the server's roles
	created []string
}

// with does something in a session of its own.
func (f *furnisher) with(ctx context.Context, config *pgx.ConnConfig, do func(context.Context, *pgx.Conn) error) error {
	conn, err := dial.Open(ctx, config)
	if err != nil {
		return fmt.Errorf("preparing a throw-away database: %w", err)
	}
	defer dial.Close(conn)
	rows, err := conn.Query(ctx, "SELECT rolname FROM pg_catalog.pg_roles")
	if err != nil {
		return fmt.Errorf("preparing a throw-away database: %w", err)
	}
	roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("preparing a throw-away database: %w", err)
	}
	f.have = map[string]bool{}
	for _, role := range roles {
		f.have[role] = true
	}
	return do(ctx, conn)
}

// surroundings makes what the files of SQL may need.
func (f *furnisher) surroundings(ctx context.Context, conn *pgx.Conn) error {
	for _, role := range f.program.Furnishing.Roles {
		if err := f.role(ctx, conn, role); err != nil {
			return refused("sandbox.roles: role "+role+" cannot be created: ", err,
				"name a server for tests whose role may create roles, or none")
		}
	}
	for _, extension := range f.program.Furnishing.Extensions {
		sql := "CREATE EXTENSION IF NOT EXISTS " + pgx.Identifier{extension}.Sanitize() + " CASCADE"
		if _, err := conn.Exec(ctx, sql); err != nil {
			return refused("sandbox.extensions: extension "+extension+" cannot be created: ", err,
				"install it for the PostgreSQL of this machine, or name a server for tests that has it by TEST_DB_*")
		}
	}
	for _, setting := range f.program.Furnishing.Settings {
		if err := apply(ctx, conn, setting); err != nil {
			return err
		}
	}
	return nil
}

// role creates a role that cannot log in, where there is none of its name. Who is no
// superuser becomes a member, so as to give objects to it.
func (f *furnisher) role(ctx context.Context, conn *pgx.Conn, name string) error {
	if f.have[name] {
		return nil
	}
	var superuser bool
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").
		Scan(&superuser); err != nil {
		return err
	}
	sql := "CREATE ROLE " + pgx.Identifier{name}.Sanitize() + " NOLOGIN"
	if !superuser {
		sql += " ROLE CURRENT_USER"
	}
	_, err := conn.Exec(ctx, sql)
	if isState(err, duplicateObject) || isState(err, uniqueViolation) {
		return nil // somebody else has just done so
	}
	if err == nil {
		f.created, f.have[name] = append(f.created, name), true
	}
	return err
}

func isState(err error, state string) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == state
}

// refused is what a server said as an error of ours; anything else goes on as it is.
func refused(what string, err error, remedy string) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: what + server.Message, Remedy: remedy,
		SQLState: server.Code, Detail: server.Detail, Hint: server.Hint, Err: err}
}

// others creates the roles that a live server has, and those that the migrations name and
// nothing creates.
func (f *furnisher) others(ctx context.Context, conn *pgx.Conn) error {
	c := castOf(f.program)
	for _, role := range f.program.Furnishing.Copied {
		if c.mayBeCreated(role) {
			continue
		}
		if err := f.role(ctx, conn, role); err != nil && !isState(err, noPrivilege) {
			return fmt.Errorf("creating a role that the live server has: %w", err)
		}
	}
	for _, missing := range c.needed {
		if f.have[missing.Role] || f.program.Guest {
			continue
		}
		err := f.role(ctx, conn, missing.Role)
		if isState(err, noPrivilege) {
			continue // the server will say what a migration lacks
		}
		if err != nil {
			return fmt.Errorf("creating a role that %s names: %w", missing.Path, err)
		}
		if tell := f.program.Furnishing.Missing; tell != nil {
			tell(missing)
		}
	}
	return nil
}

// prepare runs the files of SQL, statement by statement, as psql would.
func (f *furnisher) prepare(ctx context.Context, conn *pgx.Conn) error {
	for _, file := range f.program.Furnishing.Prepare {
		if err := f.file(ctx, conn, file); err != nil {
			return err
		}
	}
	return nil
}

func (f *furnisher) file(ctx context.Context, conn *pgx.Conn, file devdb.File) error {
	wrong := func(at pgsql.Position, message, remedy string) *whimbrel.Error {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Path: file.Path, Line: at.Line, Column: at.Column,
			Message: message, Remedy: remedy}
	}
	statements, err := pgsql.Split(file.Text, pgsql.Options{})
	var malformed *pgsql.Error
	if errors.As(err, &malformed) {
		return wrong(malformed.Position, malformed.Message, malformed.Remedy)
	}
	if err != nil {
		return err
	}
	for _, s := range statements {
		if f.alreadyThere(s) {
			continue
		}
		err := send(ctx, conn, s)
		var server *pgconn.PgError
		if !errors.As(err, &server) {
			if err != nil {
				return fmt.Errorf("running %s: %w", file.Path, err)
			}
			continue
		}
		at := s.Start
		if server.Position > 0 {
			at = pgsql.PositionAt(file.Text, s.Start.Offset+pgsql.OffsetOfCharacter(s.Text, int(server.Position)))
		}
		e := wrong(at, "the throw-away database cannot be prepared: "+server.Message,
			"correct the file: it runs in an empty database before the first migration; sandbox.roles and "+
				"sandbox.extensions are there by then")
		e.SQLState, e.Detail, e.Hint, e.Err = server.Code, server.Detail, server.Hint, err
		return e
	}
	return nil
}

// alreadyThere reports whether a statement creates a role that the server has: from an
// earlier database, or from sandbox.roles.
func (f *furnisher) alreadyThere(s pgsql.Statement) bool {
	words := strings.Fields(s.Command)
	if len(words) < 2 || words[0] != "CREATE" || !slices.Contains([]string{"ROLE", "USER", "GROUP"}, words[1]) {
		return false
	}
	found := pgsql.Roles(s.Text).Created
	return len(found) == 1 && f.have[found[0].Name]
}

func send(ctx context.Context, conn *pgx.Conn, s pgsql.Statement) error {
	if s.Data != nil {
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(*s.Data), s.Text)
		return err
	}
	_, err := conn.PgConn().Exec(ctx, s.Text).ReadAll()
	return err
}
