package forecast_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/forecast"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// shop is a schema with one table that takes a while to go through.
const shop = `
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, age integer);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total integer, note text);
CREATE TABLE empty (id bigint PRIMARY KEY, name text);
CREATE TABLE logs (id bigint NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE logs_2024 PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE logs_2025 PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO users SELECT n, 'n' || n, n FROM generate_series(1, 100) n;
INSERT INTO orders SELECT n, n, n, repeat('x', 50) FROM generate_series(1, 200000) n;
INSERT INTO logs SELECT n, date '2024-01-01' + n % 700 FROM generate_series(1, 4000) n;
ANALYZE;
`

func inShop(t *testing.T, texts ...string) forecast.Forecast {
	t.Helper()
	url, ok := copied(t, shop)
	require.True(t, ok)
	return foretell(t, url, texts...)
}

func reasons(m forecast.Migration) string {
	var all []string
	for _, r := range m.Reasons {
		all = append(all, fmt.Sprintf("%s: %s", r.Risk, r.Message))
	}
	return strings.Join(all, "\n")
}

func TestTheRiskFollowsFromWhatHappensOnThisDatabase(t *testing.T) {
	t.Parallel()
	const back = ";\n-- +migrate Down\nSELECT 1;"
	for name, c := range map[string]struct {
		text, says string
		risk       forecast.Risk
	}{
		"a column": {"ALTER TABLE orders ADD COLUMN a int" + back, "it holds its locks for a moment only",
			forecast.Low},
		"a new table": {"CREATE TABLE new (id int)" + back, "it locks nothing that was there before",
			forecast.Low},
		"an index on a small table": {"CREATE INDEX ON users (name)" + back, "moment", forecast.Low},
		"an index on a bigger one": {"CREATE INDEX ON orders (user_id)" + back, "SHARE on orders for about",
			forecast.Medium},
		"a lock kept during a scan": {"ALTER TABLE users ADD COLUMN a int;\nUPDATE orders SET note = ''" + back,
			"ACCESS EXCLUSIVE on users for about", forecast.High},
		"a column with values": {"ALTER TABLE users DROP COLUMN age" + back,
			"loses column users.age (100 rows): no down migration", forecast.High},
		"a column without rows": {"ALTER TABLE empty DROP COLUMN name" + back, "drops column empty.name (empty now)",
			forecast.High},
		"a rename": {"ALTER TABLE users RENAME COLUMN age TO years" + back,
			"a running application breaks", forecast.High},
		"no down migration": {"CREATE TABLE new (id int)", "it has no down migration", forecast.Medium},
		"deliberately no down migration": {"-- +migrate Irreversible it is law\nCREATE TABLE new (id int)",
			"it is irreversible: it is law", forecast.Medium},
		"what cannot be read": {"DO $$ DECLARE n int := 1; BEGIN EXECUTE 'SELECT ' || n; END $$" + back,
			"puts statements together while it runs", forecast.Medium},
		"a hazard that is allowed": {"-- +migrate Allow rename-table nobody uses it\n" +
			"CREATE TABLE a (); ALTER TABLE a RENAME TO b" + back, "nothing that was there", forecast.Low},
		"parts for before and behind": {"ALTER TABLE users ADD COLUMN a int, ALTER COLUMN age SET NOT NULL" + back,
			"one part of it belongs before", forecast.Medium},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := inShop(t, c.text)
			require.Len(t, f.Migrations, 1)
			m := f.Migrations[0]
			require.Contains(t, reasons(m), c.says)
			require.Equal(t, c.risk, m.Risk, reasons(m))
			require.Equal(t, c.risk, f.Risk)
		})
	}
}

func TestALockIsHeldToTheEndOfItsTransaction(t *testing.T) {
	t.Parallel()
	m := inShop(
		t, "ALTER TABLE users ADD COLUMN a int;\nUPDATE orders SET note = '';\nALTER TABLE logs ADD COLUMN b int;").Migrations[0]
	require.Len(t, m.Steps, 1)
	held := map[string]forecast.Lock{}
	for _, l := range m.Steps[0].Locks {
		held[l.Table] = l
	}
	require.Equal(t, forecast.Long, held["users"].Hold)
	require.Equal(t, lint.AccessExclusive, held["users"].Mode)
	require.Equal(t, m.Duration.About, held["users"].Held.About)
	require.Equal(t, forecast.Long, held["orders"].Hold)
	require.Equal(t, forecast.Brief, held["logs"].Hold, "it is taken when all work is done")
	require.Equal(t, map[string]lint.Mode{"users": lint.AccessExclusive}, m.Steps[0].Held(0))
	require.Equal(t, map[string]lint.Mode{"users": lint.AccessExclusive, "orders": lint.RowExclusive}, m.Steps[0].Held(1))
}

func TestBatchesAndWhatRunsByItselfHoldNothingForLong(t *testing.T) {
	t.Parallel()
	m := inShop(t, "CREATE INDEX CONCURRENTLY orders_user ON orders (user_id);\n-- +migrate Batch orders by id\n"+
		"UPDATE orders SET note = '' WHERE id > :from AND id <= :to;").Migrations[0]
	require.Len(t, m.Steps, 2)
	require.Equal(t, lint.ShareUpdateExclusive, m.Steps[0].Locks[0].Mode)
	require.Contains(t, m.Steps[0].Duration.Basis, "twice, as it goes on concurrently")
	require.Positive(t, m.Disk)
	require.Equal(t, forecast.Brief, m.Steps[1].Locks[0].Hold)
	require.EqualValues(t, 200000, m.Steps[1].Statements[0].Rows)
	require.Greater(t, m.Steps[1].Duration.About, time.Duration(1e9), "200,000 rows are not changed in no time")
}

func TestPartitionsAreAddedUp(t *testing.T) {
	t.Parallel()
	f := inShop(t, "CREATE INDEX ON logs (id);\nDROP TABLE logs;")
	require.Contains(t, f.Text(forecast.Style{}, false), "builds an index over 2 partitions of logs (4,000 rows")
	require.Contains(t, f.Text(forecast.Style{}, false), "ACCESS EXCLUSIVE on logs and 2 partitions")
	for _, table := range f.Tables {
		if table.Name == "logs" {
			require.EqualValues(t, 4000, table.Rows)
			require.Equal(t, 2, table.Parts)
			require.Positive(t, table.Heap)
			return
		}
	}
	require.Fail(t, "the table is not there")
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	url := fresh(t)
	conn := connect(t, url)
	exec(t, conn, "CREATE TABLE fresh (id int); ALTER TABLE fresh SET (autovacuum_enabled = off)")
	if server.Version().Major >= 14 { // which tells a table that was never analyzed from an empty one
		exec(t, conn, "INSERT INTO fresh SELECT generate_series(1, 1000); SELECT pg_stat_reset()")
	}
	f := foretell(t, url, "DO $$ DECLARE n int := 1; BEGIN EXECUTE format('SELECT %s', n); END $$",
		"CREATE TABLE made (id int);\nCREATE INDEX ON made (id);")
	require.False(t, f.Duration.Known)
	require.Equal(t, "an unknown time", f.Migrations[0].Duration.String())
	require.Equal(t, "a moment", f.Migrations[1].Duration.String(), "what the plan itself makes is empty")
	require.Equal(t, forecast.OrderUnknown, f.Migrations[0].Deploy.Order)
}

func TestTheOrderOfDeployment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]forecast.Order{
		"ALTER TABLE users ADD COLUMN a int":                                              forecast.MigrationFirst,
		"ALTER TABLE users ADD COLUMN a int NOT NULL DEFAULT 0":                           forecast.MigrationFirst,
		"ALTER TABLE users ADD COLUMN a int NOT NULL":                                     forecast.Neither,
		"ALTER TABLE users ADD COLUMN a bigserial NOT NULL":                               forecast.MigrationFirst,
		"CREATE TABLE a (id int); ALTER TABLE a RENAME TO b":                              forecast.MigrationFirst,
		"CREATE TABLE a (id int); CREATE UNIQUE INDEX ON a (id)":                          forecast.MigrationFirst,
		"CREATE UNIQUE INDEX ON users (name)":                                             forecast.ApplicationFirst,
		"CREATE INDEX ON users (name)":                                                    forecast.Either,
		"ALTER TABLE users DROP COLUMN age":                                               forecast.ApplicationFirst,
		"DROP TABLE users":                                                                forecast.ApplicationFirst,
		"DROP TABLE users; CREATE TABLE users2 (id int)":                                  forecast.Split,
		"ALTER TABLE users RENAME TO people":                                              forecast.Neither,
		"ALTER TABLE users RENAME COLUMN age TO years":                                    forecast.Neither,
		"ALTER INDEX users_pkey RENAME TO users_key":                                      forecast.Either,
		"ALTER TABLE users SET SCHEMA pg_temp":                                            forecast.Neither,
		"ALTER TABLE users ALTER COLUMN age TYPE bigint":                                  forecast.MigrationFirst,
		"ALTER TABLE users ALTER COLUMN age TYPE text USING age || 'y'":                   forecast.Neither,
		"ALTER TABLE users ALTER COLUMN age SET NOT NULL":                                 forecast.ApplicationFirst,
		"ALTER TABLE users ALTER COLUMN name DROP NOT NULL":                               forecast.MigrationFirst,
		"ALTER TABLE users ALTER COLUMN age SET DEFAULT 0":                                forecast.Either,
		"ALTER TABLE users ADD CHECK (age > 0) NOT VALID":                                 forecast.ApplicationFirst,
		"UPDATE users SET age = 1 WHERE id = 1":                                           forecast.Either,
		"COMMENT ON TABLE users IS 'x'":                                                   forecast.Either,
		"GRANT SELECT ON users TO public":                                                 forecast.MigrationFirst,
		"REVOKE SELECT ON users FROM public":                                              forecast.ApplicationFirst,
		"-- +migrate Batch users by id\nDELETE FROM users WHERE id > :from AND id <= :to": forecast.Either,
		"CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'":                    forecast.MigrationFirst,
		"CREATE TYPE mood AS ENUM ('good'); ALTER TYPE mood RENAME VALUE 'good' TO 'bad'": forecast.Neither,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			m := inShop(t, text).Migrations[0]
			require.Equal(t, want, m.Deploy.Order, m.Deploy.Reasons)
			require.NotEmpty(t, m.Deploy.Order.Advice())
		})
	}
}

func TestDownMigrationsAreJudgedAndTried(t *testing.T) {
	t.Parallel()
	url, ok := copied(t, shop)
	require.True(t, ok)
	texts := []string{
		"ALTER TABLE users ADD COLUMN a int;\n-- +migrate Down\nALTER TABLE users DROP COLUMN a;",
		"ALTER TABLE users ADD COLUMN b int;\n-- +migrate Down\nALTER TABLE users DROP COLUMN c;",
		"ALTER TABLE users ADD COLUMN d int;",
	}
	plan, err := migrator(t, url, parse(t, texts...)).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	for name, history := range map[string]func(*forecast.Options){
		"behind files":       func(o *forecast.Options) { o.History = parse(t, shop) },
		"behind the catalog": func(o *forecast.Options) { o.WithoutFiles = true },
	} {
		t.Run(name, func(t *testing.T) {
			f := study(t, url, plan, history, func(o *forecast.Options) { o.Rehearse = true })
			require.NotNil(t, f.Rehearsal)
			require.Contains(t, f.Rehearsal.Stopped, "example.sql",
				"the second down migration fails, and the first is behind it")
			require.Equal(t, forecast.Failed, f.Migrations[1].Down.Tested)
			require.Contains(t, f.Migrations[1].Down.Failure, `column "c" of relation "users" does not exist`)
			require.Equal(t, forecast.High, f.Migrations[1].Risk)
			require.Equal(t, forecast.Missing, f.Migrations[2].Down.Kind)
			require.Equal(t, "column users.a", f.Migrations[0].Down.Loses[0].What)
		})
	}
}

func TestARehearsalMeasuresAndKnowsWhatTheTextDoesNotTell(t *testing.T) {
	t.Parallel()
	url, ok := copied(t, shop)
	require.True(t, ok)
	plan, err := migrator(t, url, parse(t, "DO $$ BEGIN EXECUTE replace('ALTER TABLE x ADD COLUMN a int', 'x', "+
		"'orders'); END $$;\nUPDATE orders SET note = '';\n"+
		"DO $$ BEGIN EXECUTE replace('UPDATE x SET note = NULL', 'x', 'orders'); END $$;")).Plan(t.Context(),
		whimbrel.Latest())
	require.NoError(t, err)
	require.False(t, study(t, url, plan).Duration.Known)
	schema, _, _ := strings.Cut(shop, "INSERT") // the rehearsal makes up rows of its own
	f := study(t, url, plan, func(o *forecast.Options) { o.Rehearse, o.History = true, parse(t, schema) })
	require.Empty(t, f.Rehearsal.Stopped)
	require.True(t, f.Duration.Known)
	require.Equal(t, lint.AccessExclusive, f.Migrations[0].Steps[0].Held(0)["orders"])
	require.Contains(t, f.Migrations[0].Steps[0].Statements[1].Duration.Basis, "measured: ")
	require.Equal(t, []string{"orders"}, f.Migrations[0].Steps[0].Statements[2].Scans)
}

func TestAPlanThatGoesDownIsJudgedLikeOneThatGoesUp(t *testing.T) {
	t.Parallel()
	url := fresh(t)
	texts := []string{
		"CREATE TABLE users (id int PRIMARY KEY);\nINSERT INTO users VALUES (1), (2);\n-- +migrate Down\nDROP TABLE users;",
		"ALTER TABLE users ADD COLUMN a int;\n-- +migrate Down\nALTER TABLE users DROP COLUMN a;",
	}
	files := parse(t, texts...)
	_, err := migrator(t, url, files).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	exec(t, connect(t, url), "ANALYZE users")
	plan, err := migrator(t, url, files[:1]).Plan(t.Context(), whimbrel.Back(2))
	require.NoError(t, err)
	f := study(t, url, plan, func(o *forecast.Options) { o.Rehearse, o.History = true, files })
	require.Equal(t, forecast.FromHistory, f.Migrations[0].Down.Kind)
	require.Equal(t, forecast.FromFile, f.Migrations[1].Down.Kind)
	require.Equal(t, forecast.Ran, f.Migrations[1].Down.Tested)
	require.Equal(t, "table users (2 rows)", f.Migrations[1].Loses[0].String())
	require.Equal(t, lint.AccessExclusive, f.Migrations[1].Steps[0].Locks[0].Mode)

	redo, err := migrator(t, url, files).Plan(t.Context(), whimbrel.Redo(1))
	require.NoError(t, err)
	f = study(t, url, redo, func(o *forecast.Options) { o.Rehearse, o.History = true, files })
	require.Len(t, f.Migrations, 2)
	require.Equal(t, forecast.ApplicationFirst, f.Migrations[0].Deploy.Order)
	require.Equal(t, forecast.MigrationFirst, f.Migrations[1].Deploy.Order)
}

func TestScriptsAreUnknownAndRunInTheRehearsal(t *testing.T) {
	t.Parallel()
	url := fresh(t)
	script, err := migration.Parse("migrations/002_fill.js", "module.exports = { async up(client) { await "+
		"client.query('CREATE TABLE made (id int)') }, async down(client) { await client.query('DROP TABLE made') } }")
	require.NoError(t, err)
	files := append(parse(t, "CREATE TABLE users (id int);"), script)
	files = append(files, parse(t, "SELECT 1", "SELECT 1", "ALTER TABLE made ADD COLUMN a int;\n-- +migrate Down\n"+
		"ALTER TABLE made DROP COLUMN a;")[2])
	plan, err := migrator(t, url, files, withScripts).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	f := study(t, url, plan, func(o *forecast.Options) { o.Rehearse, o.Scripts = true, js.New(js.Options{}) })
	require.Empty(t, f.Rehearsal.Stopped)
	require.Equal(t, forecast.Medium, f.Migrations[1].Risk)
	require.Equal(t, forecast.FromFile, f.Migrations[1].Down.Kind)
	require.False(t, f.Migrations[1].Duration.Known)
	require.Equal(t, forecast.Ran, f.Migrations[2].Down.Tested)
}

func withScripts(c *whimbrel.Config) { c.Scripts = js.New(js.Options{}) }

func TestARoleWithFewRightsIsToldWhatItCannotSee(t *testing.T) {
	t.Parallel()
	url, ok := copied(t, shop)
	require.True(t, ok)
	owner := connect(t, url)
	role := "reader_of_" + owner.Config().Database
	exec(t, owner, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() {
		_, _ = owner.Exec(context.Background(), "DROP OWNED BY "+role)
		_, _ = owner.Exec(context.Background(), "DROP ROLE "+role)
	})
	plan, err := migrator(t, url, parse(t, "CREATE INDEX ON orders (user_id)")).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	as := func(o *forecast.Options) { o.Connection.User = role }
	f := study(t, url, plan, as)
	require.Len(t, f.Unseen, 1)
	require.Contains(t, f.Unseen[0], "pg_read_all_stats")
	require.Contains(t, f.Text(forecast.Style{}, false), "not seen: how long transactions of other roles have been open")
	require.EqualValues(t, 200000, f.Migrations[0].Steps[0].Statements[0].Rows, "sizes are for everybody to see")
	exec(t, owner, "GRANT pg_monitor TO "+role)
	require.Empty(t, study(t, url, plan, as).Unseen)
}

func TestATableThatSomebodyHoldsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	url, ok := copied(t, shop)
	require.True(t, ok)
	plan, err := migrator(t, url, parse(t, "CREATE INDEX ON orders (user_id)")).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	holder := connect(t, url)
	exec(t, holder, "BEGIN; LOCK TABLE users")
	conn := connect(t, url)
	facts, err := forecast.ReadFacts(t.Context(), conn)
	require.NoError(t, err)
	require.Contains(t, strings.Join(facts.Unseen, "\n"), "a table was locked")
	f := study(t, url, plan)
	for _, table := range f.Tables {
		require.True(t, table.Estimated)
		require.Positive(t, table.Heap)
	}
}

func TestAForecastSurvivesItsWrittenForm(t *testing.T) {
	t.Parallel()
	f := inShop(t, "ALTER TABLE users ADD COLUMN a int;\nUPDATE orders SET note = ''",
		"ALTER TABLE users RENAME TO people;")
	text, err := json.Marshal(f)
	require.NoError(t, err)
	var read forecast.Forecast
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, f.Risk, read.Risk)
	require.Equal(t, f.Migrations[1].Reasons, read.Migrations[1].Reasons)
	require.Equal(t, f.Migrations[0].Steps[0].Locks, read.Migrations[0].Steps[0].Locks)
	var risk forecast.Risk
	require.ErrorContains(t, risk.UnmarshalText([]byte("huge")), "invalid risk")
	markdown := f.Markdown()
	require.Contains(t, markdown, "## Plan: 2 migrations, high risk")
	require.Contains(t, markdown, "| 1 | users | ACCESS EXCLUSIVE | for about")
	require.Contains(t, markdown, "```sql\nUPDATE orders SET note = ''\n```")
}

func TestValuesOfVariablesAreNotShown(t *testing.T) {
	t.Parallel()
	url, ok := copied(t, shop)
	require.True(t, ok)
	values := map[string]string{"owner": "hushhush"}
	files := parse(t, "-- +migrate Variables owner\nALTER TABLE users RENAME COLUMN age TO ${\"owner\"};\n"+
		"-- +migrate Down\nALTER TABLE users RENAME COLUMN ${\"owner\"} TO age;")
	plan, err := migrator(t, url, files, func(c *whimbrel.Config) { c.Variables = values }).Plan(t.Context(),
		whimbrel.Latest())
	require.NoError(t, err)
	f := study(t, url, plan, func(o *forecast.Options) {
		o.Variables, o.Rehearse, o.History = values, true, parse(t,
			shop)
	})
	text, err := json.Marshal(f)
	require.NoError(t, err)
	require.NotContains(t, string(text)+f.Text(forecast.Style{}, true)+f.Markdown(), "hushhush")
	require.Equal(t, forecast.Ran, f.Migrations[0].Down.Tested)
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	url := fresh(t)
	f := study(t, url, whimbrel.Plan{}, func(o *forecast.Options) { o.Rehearse = true })
	require.Equal(t, forecast.Low, f.Risk)
	require.Contains(t, f.Text(forecast.Style{}, false), "Nothing to do.")
	require.Contains(t, f.Markdown(), "Nothing to do.")
	_, err := forecast.Study(t.Context(), whimbrel.Plan{}, forecast.Options{Connection: unreachable(t)})
	require.ErrorContains(t, err, "connecting for a look at the tables")
}

func unreachable(t *testing.T) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig("postgres://nobody@127.0.0.1:1/nothing?connect_timeout=2")
	require.NoError(t, err)
	return config
}
