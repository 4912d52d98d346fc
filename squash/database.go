package squash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// ownSchema is where the history of the throw-away databases is, so that it can
// be told from what the migrations make.
const ownSchema = "whimbrel_squash"

// database is a database on a server of its own: roles belong to the server, and
// the proof must not find those that the other database's migrations made.
type database struct {
	work   *work
	server *devdb.Server
	url    string
	conn   *pgx.Conn
	role   string // that everything runs as
	before beforehand
}

func (w *work) open(ctx context.Context, major int) (*database, error) {
	server, err := devdb.Start(ctx, devdb.Options{Major: major, Progress: w.options.Progress})
	if err != nil {
		message, remedy := devdb.Explain(err)
		return nil, &whimbrel.Error{
			Code: whimbrel.CodeConnection, Message: "a throw-away server cannot be started: " + message,
			Remedy: remedy, Err: err,
		}
	}
	d := &database{work: w, server: server}
	if d.url, _, err = server.FreshDatabase(ctx); err == nil {
		d.conn, err = dial.Connect(ctx, d.url)
	}
	if err == nil {
		_, err = d.conn.Exec(ctx, "CREATE SCHEMA "+ownSchema)
	}
	if err == nil {
		err = d.conn.QueryRow(ctx, "SELECT current_user").Scan(&d.role)
	}
	if err == nil {
		err = d.furnish(ctx)
	}
	if err != nil {
		d.close()
		var own *whimbrel.Error
		if errors.As(err, &own) {
			return nil, err
		}
		return nil, fmt.Errorf("preparing a throw-away database: %w", err)
	}
	return d, nil
}

// beforehand is what a database has before the migrations run: how pg_dump writes it, and
// how many rows its tables have.
type beforehand struct {
	dump []migration.Statement
	rows map[string]int64
}

// furnish makes what the first migration is to find.
func (d *database) furnish(ctx context.Context) error {
	w := d.work
	if _, err := sandbox.Furnish(ctx, d.conn.Config(), sandbox.Program{Furnishing: w.options.Sandbox,
		Migrations: slices.Concat(w.members, w.rest), Functions: w.options.Functions,
		Variables: w.options.Variables}); err != nil {
		return err
	}
	if f := w.options.Sandbox; len(f.Prepare)+len(f.Extensions) == 0 {
		return nil
	}
	tables, err := d.tables(ctx)
	if err != nil {
		return err
	}
	d.before.rows = map[string]int64{}
	for _, t := range tables {
		d.before.rows[t.name] = t.rows
	}
	d.before.dump, err = w.program.dump(ctx, d, nil)
	return err
}

func (d *database) close() {
	if d.conn != nil {
		_ = d.conn.Close(context.Background())
	}
	_ = d.server.Stop() // its files are gone with it, or with the next start
}

// up applies migrations, as any database would.
func (d *database) up(ctx context.Context, migrations []migration.Migration) error {
	options := d.work.options
	m, err := whimbrel.New(whimbrel.Config{
		Project: whimbrel.Project{Migrations: migrations, Scripts: options.Scripts, Variables: options.Variables,
			AcceptMarks: true},
		Target: whimbrel.Target{DatabaseURL: d.url, Table: ownSchema + ".history"},
		Policy: options.Policy,
		Stop:   options.Stop,
	})
	if err != nil {
		return err
	}
	_, err = m.Up(ctx, whimbrel.UpOptions{})
	return err
}

// schema reads the catalog, without what is ours.
func (d *database) schema(ctx context.Context) (schema.Schema, error) {
	var exclude []pgx.Identifier
	for _, name := range []string{"history", "history_lock", "history_journal", "history_log"} {
		exclude = append(exclude, pgx.Identifier{ownSchema, name})
	}
	return schema.Read(ctx, d.conn, schema.Options{Exclude: exclude})
}

// table is an ordinary table, or a partition, that can have rows.
type table struct {
	name   string // with its schema, as SQL writes it
	bare   string // without, and without quotes
	parent string // the topmost table that it is a partition of, or ""
	rows   int64
}

// tables lists those that the migrations made, with their rows.
func (d *database) tables(ctx context.Context) ([]table, error) {
	rows, err := d.conn.Query(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname,
	CASE WHEN c.relispartition THEN (SELECT pg_catalog.format('%I.%I', rn.nspname, r.relname)
		FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
		WHERE r.oid = pg_catalog.pg_partition_root(c.oid)) ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('information_schema', '`+ownSchema+`') AND n.nspname NOT LIKE 'pg\_%'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		return t, row.Scan(&t.name, &t.bare, &t.parent)
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := d.conn.QueryRow(ctx, "SELECT count(*) FROM ONLY "+all[i].name).Scan(&all[i].rows); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// chooseData finds the tables whose rows go into the baseline, and refuses to
// lose rows that nobody has spoken of.
func (w *work) chooseData(ctx context.Context, b *Baseline) ([]table, error) {
	all, err := w.old.tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting rows: %w", err)
	}
	var kept []table
	named := make([]bool, len(w.options.KeepData))
	for _, t := range all {
		if had, there := w.old.before.rows[t.name]; there && had == t.rows {
			continue
		}
		wanted := false
		for i, name := range w.options.KeepData {
			if t.is(name) {
				wanted, named[i] = true, true
			}
		}
		switch {
		case wanted:
			kept = append(kept, t)
			b.Kept = append(b.Kept, Rows{t.name, t.rows})
		case t.rows > 0:
			b.Dropped = append(b.Dropped, Rows{t.name, t.rows})
		}
	}
	for i, found := range named {
		if !found {
			return nil, &whimbrel.Error{Code: whimbrel.CodeConfiguration,
				Message: fmt.Sprintf("the migrations make no table %s whose rows could be kept", w.options.KeepData[i]),
				Remedy:  "name one of: " + strings.Join(names(all), ", ")}
		}
	}
	if len(b.Dropped) > 0 && !w.options.DropData {
		var shown []string
		for _, r := range b.Dropped {
			shown = append(shown, fmt.Sprintf("%s (%d)", r.Table, r.Count))
		}
		return nil, &whimbrel.Error{
			Code:    whimbrel.CodeSquash,
			Message: "the migrations put rows into tables of which nothing was said: " + strings.Join(shown, ", "),
			Remedy:  "keep those that a new database needs with Options.KeepData, and set Options.DropData if the others may go",
		}
	}
	return kept, nil
}

// is reports whether a table was named: with its schema or without, or by the
// table that it is a part of.
func (t table) is(name string) bool {
	return slices.Contains([]string{t.name, t.bare, strings.TrimPrefix(t.name, "public.")}, name) ||
		t.parent != "" && slices.Contains([]string{t.parent, strings.TrimPrefix(t.parent, "public.")}, name)
}

func names(tables []table) (all []string) {
	for _, t := range tables {
		all = append(all, cmp.Or(t.parent, t.name))
	}
	return slices.Compact(all)
}
