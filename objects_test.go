package whimbrel_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// people are a table and what repeatable migrations define upon it: one of each kind.
var people = files{
	"1_people.sql": "CREATE SCHEMA app; CREATE TABLE people (id int PRIMARY KEY, name varchar(10));",
	"R__names.sql": "CREATE OR REPLACE VIEW names AS SELECT id, name FROM people;",
	"R__slug.sql": "CREATE OR REPLACE FUNCTION app.slug(t text, n int DEFAULT 1) RETURNS text LANGUAGE sql AS 'SELECT " +
		"lower(t)';",
	"R__touch.sql": `CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
DROP TRIGGER IF EXISTS touched ON people;
CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();`,
	"R__mood.sql": "DO $$ BEGIN IF to_regtype('mood') IS NULL THEN EXECUTE 'CREATE TYPE mood AS ENUM (''sad'', " +
		"''glad'')'; END IF; END $$;",
	"R__policy.sql": "DROP POLICY IF EXISTS own ON people; CREATE POLICY own ON people USING (true);",
	"R__latest.sql": "DROP MATERIALIZED VIEW IF EXISTS latest; CREATE MATERIALIZED VIEW latest AS SELECT max(id) AS id " +
		"FROM people; CREATE UNIQUE INDEX latest_id ON latest (id);",
	"R__swaps.sql": "DO $$ BEGIN DROP VIEW IF EXISTS scratch; CREATE VIEW scratch AS SELECT 1 AS n; EXCEPTION WHEN " +
		"others THEN RAISE; END $$; DROP VIEW scratch;",
}

// takings are ways to lose what people define, and what is to come back.
var takings = map[string]struct {
	statement string
	again     []string
	gone      string // as status says before anything is run; "" where it was replaced
}{
	"a view is dropped": {"DROP VIEW names", []string{"R__names"}, "view public.names"},
	"a table and what rests on it": {"DROP TABLE people CASCADE; CREATE TABLE people (id int, name text)",
		[]string{"R__latest", "R__names", "R__policy", "R__touch"}, "view public.names"},
	"a view is renamed":     {"ALTER VIEW names RENAME TO old_names", []string{"R__names"}, "view public.names"},
	"a view is moved":       {"ALTER VIEW names SET SCHEMA app", []string{"R__names"}, "view public.names"},
	"a function is dropped": {"DROP FUNCTION app.slug", []string{"R__slug"}, "function app.slug(text,integer)"},
	"a function is renamed": {"ALTER FUNCTION app.slug RENAME TO snail", []string{"R__slug"},
		"function app.slug(text,integer)"},
	"one with other arguments": {"DROP FUNCTION app.slug; CREATE FUNCTION app.slug(int) RETURNS int LANGUAGE sql AS " +
		"'SELECT 1'", []string{"R__slug"}, "function app.slug(text,integer)"},
	"a schema": {"DROP SCHEMA app CASCADE; CREATE SCHEMA app", []string{"R__slug"},
		"function app.slug(text,integer)"},
	"a trigger": {"DROP TRIGGER touched ON people", []string{"R__touch"},
		"trigger touched on public.people"},
	"a trigger by its function": {"DROP FUNCTION touch CASCADE", []string{"R__touch"}, "function public.touch()"},
	"a type":                    {"DROP TYPE mood", []string{"R__mood"}, "type public.mood"},
	"a policy":                  {"DROP POLICY own ON people", []string{"R__policy"}, "policy own on public.people"},
	"a materialised view": {"DROP MATERIALIZED VIEW latest", []string{"R__latest"},
		"materialized view public.latest"},
	"an index of one": {"DROP INDEX latest_id", []string{"R__latest"}, "index public.latest_id"},
	"by dynamic SQL": {"DO $$ BEGIN EXECUTE 'DROP VIEW ' || 'na' || 'mes'; END $$", []string{"R__names"},
		"view public.names"},
	"all that a role owns": {`DO $$ DECLARE r text := 'own_' || current_database(); BEGIN
EXECUTE format('CREATE ROLE %I', r); EXECUTE format('ALTER VIEW names OWNER TO %I', r);
EXECUTE format('DROP OWNED BY %I', r); EXECUTE format('DROP ROLE %I', r); END $$`, []string{"R__names"},
		"view public.names"},
	"a view is replaced": {"CREATE OR REPLACE VIEW names AS SELECT 0 AS id, ''::varchar(10) AS name",
		[]string{"R__names"}, ""},
	"a view is dropped and created": {"DROP VIEW names; CREATE VIEW names AS SELECT 0 AS id, ''::varchar(10) AS name",
		[]string{"R__names"}, ""},
	"a function is replaced": {"CREATE OR REPLACE FUNCTION app.slug(t text, n int DEFAULT 1) RETURNS text " +
		"LANGUAGE sql AS 'SELECT upper(t)'", []string{"R__slug"}, ""},
	"replaced by dynamic SQL": {"DO $$ BEGIN BEGIN EXECUTE 'CREATE OR REPLACE VIEW na' || 'mes AS SELECT 0 AS id, " +
		"''''::varchar(10) AS name'; EXCEPTION WHEN others THEN RAISE; END; END $$", []string{"R__names"}, ""},
	"nothing that they define": {"CREATE VIEW app.names AS SELECT 1 AS n; DROP VIEW app.names; GRANT SELECT ON " +
		"names TO PUBLIC; COMMENT ON VIEW names IS 'x'; CREATE INDEX ON people (name)", nil, ""},
}

// exemplary are those that are tried in every way: something goes, something is
// replaced, many go.
var exemplary = []string{"by dynamic SQL", "replaced by dynamic SQL", "a table and what rests on it"}

// agrees requires that nothing is left to do, by all that can tell.
func (b *bundle) agrees(f files) {
	b.Helper()
	m := b.migrator(f)
	status, err := m.Status(b.Context())
	require.NoError(b, err)
	require.Empty(b, status.Pending)
	for _, a := range status.Applied {
		require.Empty(b, a.Lost)
		require.False(b, a.ObjectsUnknown, a.Version)
	}
	verification, err := m.Verify(b.Context())
	require.NoError(b, err)
	require.Empty(b, verification.Differences)
	result, err := m.Up(b.Context(), whimbrel.UpOptions{})
	require.NoError(b, err)
	require.Empty(b, result.Done)
}

func TestWhatAMigrationTakesFromRepeatablesComesBackInTheSameRun(t *testing.T) {
	for how, one := range map[string]struct {
		before string
		change func(*whimbrel.Config)
	}{
		"sent ahead": {"", func(*whimbrel.Config) {}},
		"by itself":  {"", func(c *whimbrel.Config) { c.NoPipeline = true }},
		"in a chain": {"VACUUM people;\n", func(*whimbrel.Config) {}},
		"in steps":   {"SELECT 1;\nVACUUM people;\n", func(*whimbrel.Config) {}},
	} {
		for name, test := range takings {
			if how != "sent ahead" && !slices.Contains(exemplary, name) {
				continue
			}
			t.Run(how+"/"+name, func(t *testing.T) {
				b := setup(t)
				_, err := b.migrator(people, one.change).Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
				schema := b.schema()
				more := changed(people, "2_loss.sql", one.before+test.statement+";")
				if how == "in steps" {
					more["2_loss.sql"] += "\nVACUUM people;\nSELECT 2;"
				}
				result, err := b.migrator(more, one.change).Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
				require.ElementsMatch(t, append([]string{"2"}, test.again...), ran(result))
				if test.gone == "" && test.again != nil {
					require.Equal(t, schema, b.schema(), "it is as the repeatable file has it")
				}
				require.Equal(t, len(test.again), b.count("objects_lost"))
				b.agrees(more)
			})
		}
	}
}

// count counts the events of a kind.
func (b *bundle) count(kind string) (n int) {
	for _, k := range b.heard() {
		if k == kind {
			n++
		}
	}
	return n
}

func TestWhatSomebodyTakesFromRepeatablesIsSaidAndComesBack(t *testing.T) {
	for name, test := range takings {
		if test.gone == "" {
			continue // drift tells
		}
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			m := b.migrator(people)
			_, err := m.Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			b.exec(test.statement)

			status, err := m.Status(t.Context())
			require.NoError(t, err)
			var pending, gone []string
			for _, p := range status.Pending {
				require.True(t, p.Again)
				require.NotEmpty(t, p.Lost)
				pending, gone = append(pending, string(p.Version)), append(gone, p.Lost...)
			}
			require.ElementsMatch(t, test.again, pending)
			require.Contains(t, gone, test.gone)
			verification, err := m.Verify(t.Context())
			require.NoError(t, err)
			require.Len(t, verification.Differences, len(test.again))
			require.Contains(t, verification.Differences[0].Message, "which is not there")
			plan, err := m.Plan(t.Context(), whimbrel.Latest())
			require.NoError(t, err)
			require.Len(t, plan.Migrations, len(test.again))

			result, err := m.Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.ElementsMatch(t, test.again, ran(result))
			b.agrees(people)
		})
	}
}

func TestARunThatEndsBehindTheLossIsFollowedByOneThatRestores(t *testing.T) {
	for _, name := range exemplary {
		test := takings[name]
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(people).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			more := changed(people, "2_loss.sql", test.statement)
			stop := make(chan struct{})
			m := b.migrator(more, func(c *whimbrel.Config) {
				c.Stop = stop
				c.Listener = func(r whimbrel.Record) {
					if _, done := r.Event.(whimbrel.MigrationFinished); done {
						close(stop)
					}
				}
			})
			result, err := m.Up(t.Context(), whimbrel.UpOptions{})
			require.NotEmpty(t, fails(t, err, whimbrel.CodeInterrupted))
			require.Equal(t, []string{"2"}, ran(result))
			result, err = b.migrator(more).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.ElementsMatch(t, test.again, ran(result))
			b.agrees(more)
		})
	}
}

func TestStepsLeaveALossUntilNothingIsPending(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(people).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	more := changed(people, "2_drop.sql", "DROP VIEW IF EXISTS names;")
	more["3_wider.sql"] = "ALTER TABLE people ALTER name TYPE text;" // which the view would not let through
	result, err := b.migrator(more).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, ran(result))
	require.Equal(t, 1, b.count("objects_lost"), "it is said all the same")
	result, err = b.migrator(more).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"3", "R__names"}, ran(result), "what the last one has lost is not counted")
	b.agrees(more)

	fresh := setupBeside(b)
	_, err = fresh.migrator(more).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, b.schema(), fresh.schema(), "a new database comes out alike")
}

// setupBeside gives the same test another database.
func setupBeside(b *bundle) *bundle {
	url, drop, err := server.FreshDatabase(b.Context())
	require.NoError(b, err)
	b.Cleanup(drop)
	other := &bundle{T: b.T, url: url}
	other.conn = other.connect()
	return other
}

func TestWhatADownTakesOrReplacesComesBackWithTheNextUp(t *testing.T) {
	for name, down := range map[string]string{"drops": "DROP VIEW names",
		"replaces": "CREATE OR REPLACE VIEW names AS SELECT 7 AS id, ''::varchar(10) AS name"} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			more := changed(people, "2_more.sql", "CREATE TABLE more (id int);\n-- +migrate Down\nDROP TABLE more; "+down+";")
			_, err := b.migrator(more).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			schema := b.schema()
			result, err := b.migrator(more).Redo(t.Context(), whimbrel.RedoOptions{})
			require.NoError(t, err)
			require.Equal(t, []string{"2", "2", "R__names"}, ran(result))
			b.agrees(more)

			_, err = b.migrator(more).Down(t.Context(), whimbrel.DownOptions{})
			require.NoError(t, err)
			require.Equal(t, 2, b.count("objects_lost"))
			status, err := b.migrator(more).Status(t.Context())
			require.NoError(t, err)
			require.Len(t, status.Pending, 2)
			result, err = b.migrator(more).To(t.Context(), "2", whimbrel.ToOptions{})
			require.NoError(t, err)
			require.Equal(t, []string{"2", "R__names"}, ran(result))
			require.Equal(t, schema, b.schema())
			b.agrees(more)
		})
	}
}

func TestWhatAnotherRepeatableTakesComesBackToo(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(people).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	more := changed(people, "R__zz.sql", "DO $$ BEGIN EXECUTE 'DROP VIEW na' || 'mes'; END $$")
	result, err := b.migrator(more).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"R__zz", "R__names"}, ran(result))
	b.agrees(more)
}

func TestRepeatablesThatTakeFromEachOtherComeToAnEnd(t *testing.T) {
	b := setup(t)
	fight := files{
		"R__a.sql": "DO $$ BEGIN EXECUTE 'DROP VIEW IF EXISTS b'; END $$; CREATE OR REPLACE VIEW a AS SELECT 1 AS n",
		"R__b.sql": "DO $$ BEGIN EXECUTE 'DROP VIEW IF EXISTS a'; END $$; CREATE OR REPLACE VIEW b AS SELECT 1 AS n",
	}
	result, err := b.migrator(fight).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Len(t, result.Done, 4, "each once, and once more")
	status, err := b.migrator(fight).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 1, "and what cannot be there is said")
}

func TestARepeatableThatCannotBeRestoredFailsWithItsOwnError(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(people).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	more := changed(people, "2_loss.sql", "DROP VIEW names; ALTER TABLE people DROP COLUMN name;")
	result, err := b.migrator(more).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "migrations/R__names.sql", e.Path)
	require.Contains(t, e.Message, `column "name" does not exist`)
	require.Equal(t, []string{"2"}, ran(result))
}

func TestWhatWasRecordedWithoutRunningIsKnownByItsText(t *testing.T) {
	b := setup(t)
	m := b.migrator(people)
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.exec("UPDATE schema_migrations SET objects = NULL")
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, status.Pending)
	unknown := map[string]bool{}
	for _, a := range status.Applied {
		unknown[string(a.Version)] = a.ObjectsUnknown
	}
	require.True(t, unknown["R__mood"] && unknown["R__policy"])
	require.False(t, unknown["R__names"] || unknown["R__slug"] || unknown["R__latest"])

	b.exec("DROP VIEW names; DROP FUNCTION app.slug; CREATE FUNCTION slug() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	result, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"R__names", "R__slug"}, ran(result))
}

func TestWhoNeedsWhatARepeatableDefinesIsToldWhich(t *testing.T) {
	for name, test := range map[string]struct{ repeatable, needs, says string }{
		"a function": {
			"CREATE OR REPLACE FUNCTION slug(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(t)'",
			"ALTER TABLE pages ADD COLUMN slug text GENERATED ALWAYS AS (slug(title)) STORED", "the function slug,",
		},
		"a view": {"CREATE OR REPLACE VIEW names AS SELECT title FROM pages",
			"CREATE TABLE copies AS SELECT * FROM names", "the view names,"},
		"a type": {"DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('glad')", "ALTER TABLE pages ADD mood mood",
			"the type mood,"},
		"a schema": {"CREATE SCHEMA IF NOT EXISTS app", "CREATE TABLE app.t (id int)", "the schema app,"},
		"within a body": {"CREATE OR REPLACE VIEW public.\"Na mes\" AS SELECT title FROM pages",
			"DO $$ BEGIN PERFORM * FROM \"Na mes\"; END $$", "the view Na mes,"},
		"a trigger's one": {"CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
			"CREATE TRIGGER t BEFORE UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION touch()", "the function touch,"},
		"another": {"CREATE OR REPLACE VIEW name AS SELECT title FROM pages", "SELECT * FROM names", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{
				"1_pages.sql": "CREATE TABLE pages (id int, title text);", "2_needs.sql": test.needs,
				"R__later.sql": test.repeatable,
			}).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, "2", string(e.Version))
			if test.says == "" {
				require.Empty(t, e.Remedy)
				return
			}
			require.Contains(t, e.Remedy, "R__later defines "+test.says)
			require.Contains(t, e.Remedy, "accept its change with Migrator.Accept(2)")
		})
	}
	b := setup(t)
	_, err := b.migrator(files{
		"R__a.sql": "DO $$ BEGIN EXECUTE 'SELECT * FROM na' || 'mes'; END $$",
		"R__b.sql": "CREATE OR REPLACE VIEW names AS SELECT 1 AS n",
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeStatement).Remedy,
		"R__b defines the view names: say in this file that it comes later, by `-- +migrate After b`")
}
