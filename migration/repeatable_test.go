package migration

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// repeatables loads files of the names a, b, …, given as name and text.
func repeatables(t testing.TB, texts map[string]string) []Migration {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range texts {
		files["R__"+name+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	migrations, err := Load(Source{FS: files})
	require.NoError(t, err)
	return migrations
}

func namesOf(migrations []Migration) (all []string) {
	for _, m := range migrations {
		all = append(all, m.Name)
	}
	return all
}

func TestRepeatableFilesHaveTheirNameForAVersion(t *testing.T) {
	t.Parallel()
	migrations, err := Load(Source{FS: folder("R__active_users.sql", "20240101_a.sql", "9_b.sql", "R__Zone-2.SQL")})
	require.NoError(t, err)
	require.Equal(t, []string{"9_b.sql", "20240101_a.sql", "R__Zone-2.SQL", "R__active_users.sql"}, paths(migrations))
	require.True(t, migrations[3].Version.Repeatable())
	require.Equal(t, Version("R__active_users"), migrations[3].Version)
	require.Equal(t, "active_users", migrations[3].Name)
	require.False(t, migrations[0].Version.Repeatable())
}

func TestRepeatableFilesOfWrongNamesOrContentAreRefused(t *testing.T) {
	t.Parallel()
	files := folder("R__.sql", "R__a b.sql", "R__s.js", "x/R__same.sql", "R__same.sql")
	files["R__alone.sql"] = &fstest.MapFile{Data: []byte("CREATE VIEW v AS SELECT 1;\nVACUUM t;")}
	files["R__apart.sql"] = &fstest.MapFile{Data: []byte("-- +migrate Up notransaction\nSELECT 1;")}
	files["1_after.sql"] = &fstest.MapFile{Data: []byte("-- +migrate After a\nSELECT 1;")}
	files["R__self.sql"] = &fstest.MapFile{Data: []byte("-- +migrate After b R__self.sql\nSELECT 1;")}
	_, err := Load(Source{FS: files, Subfolders: true})
	requireProblems(t, err,
		"misplaced_annotation: 1_after.sql:1:19: After is for repeatable migrations",
		"bad_name: R__.sql: is not the name of a repeatable migration: after R__ there must be a name without blanks and "+
			"commas",
		"bad_name: R__a b.sql: is not the name of a repeatable migration: after R__ there must be a name without blanks "+
			"and commas",
		"repeatable: R__alone.sql:2:1: a repeatable migration is one transaction, and this would be outside of it: VACUUM t",
		"repeatable: R__apart.sql:2:1: a repeatable migration is one transaction, and this would be outside of it: SELECT 1",
		"bad_name: R__s.js: a repeatable migration is written in SQL",
		"bad_annotation: R__self.sql:1:21: a migration cannot come after itself",
		"duplicate_version: x/R__same.sql: it has the same version as R__same.sql",
	)
}

func TestRepeatablesComeAfterWhatTheyMention(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"by name where nothing else is known": {map[string]string{"b": "SELECT 1", "a": "SELECT 2"}, []string{"a", "b"}},
		"a view on a view": {map[string]string{
			"a": "CREATE OR REPLACE VIEW top AS SELECT * FROM Middle", "b": `CREATE VIEW "middle" AS SELECT bottom()`,
			"c": "CREATE OR REPLACE FUNCTION bottom() RETURNS int RETURN 1",
		}, []string{"c", "b", "a"}},
		"with schemas": {map[string]string{
			"a": "CREATE VIEW x AS SELECT * FROM report.daily",
			"b": "CREATE MATERIALIZED VIEW IF NOT EXISTS report.daily AS SELECT 1",
			"c": "CREATE VIEW y AS SELECT * FROM daily", "d": "CREATE VIEW z AS SELECT t.daily FROM t",
		}, []string{"b", "a", "c", "d"}},
		"a body counts where it can": {map[string]string{
			"a": "CREATE FUNCTION a() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT n FROM counted); END $$",
			"b": "CREATE VIEW counted AS SELECT 1 AS n",
		}, []string{"b", "a"}},
		"bodies may mention each other": {map[string]string{
			"a": "CREATE FUNCTION even(n int) RETURNS bool LANGUAGE sql AS 'SELECT odd(n - 1)'",
			"b": "CREATE FUNCTION odd(n int) RETURNS bool LANGUAGE sql AS $f$SELECT even(n - 1)$f$",
			"c": "CREATE VIEW v AS SELECT odd(1)",
		}, []string{"a", "b", "c"}},
		"a view weighs more than a body": {map[string]string{
			"a": "CREATE VIEW a_view AS SELECT helper()",
			"b": "CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM a_view'",
		}, []string{"b", "a"}},
		"an annotation goes before what is mentioned": {map[string]string{
			"a": "CREATE VIEW orders_v AS SELECT orders FROM t",
			"b": "-- +migrate After R__a.sql\nCREATE VIEW orders AS SELECT 1 AS orders_v",
		}, []string{"a", "b"}},
		"an annotation where nothing is mentioned": {map[string]string{
			"a": "-- +migrate After b, c\nDO 'x'", "b": "SELECT 1", "c": "SELECT 2",
		}, []string{"b", "c", "a"}},
		"a trigger defines no function": {map[string]string{
			"a": "CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION f()",
			"b": "CREATE FUNCTION f() RETURNS trigger LANGUAGE sql AS ''",
		}, []string{"b", "a"}},
		"what two files define is nobody's need": {map[string]string{
			"a": "CREATE FUNCTION f(int) RETURNS int RETURN 1", "b": "CREATE FUNCTION f(text) RETURNS int RETURN 2",
		}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ordered, err := OrderRepeatables(repeatables(t, test.files))
			require.NoError(t, err)
			require.Equal(t, test.want, namesOf(ordered.Migrations))
		})
	}
}

func TestRepeatablesWithoutAnOrderAreRefused(t *testing.T) {
	t.Parallel()
	_, err := OrderRepeatables(repeatables(t, map[string]string{"a": "CREATE VIEW a AS SELECT 1 FROM b",
		"b": "CREATE VIEW b AS SELECT 1 FROM a", "c": "SELECT 1"}))
	requireProblems(t, err, "circle: R__a.sql: these repeatable migrations need each other: R__a.sql, R__b.sql")
	_, err = OrderRepeatables(repeatables(t, map[string]string{"users": "SELECT 1", "b": "-- +migrate After user\n" +
		"SELECT 1"}))
	requireProblems(t, err, `bad_annotation: R__b.sql:1:19: no repeatable migration "user"`)
	require.Equal(t, "did you mean users?", Problems(err)[0].Remedy)
}

func TestDependentsOfWhatDropsRunAgain(t *testing.T) {
	t.Parallel()
	ordered, err := OrderRepeatables(repeatables(t, map[string]string{
		"base": "DROP VIEW IF EXISTS base CASCADE; CREATE VIEW base AS SELECT 1 AS n",
		"mid":  "CREATE OR REPLACE VIEW mid AS SELECT n FROM base",
		"a":    "CREATE OR REPLACE VIEW top AS SELECT n FROM mid", "other": "CREATE VIEW other AS SELECT 1",
	}))
	require.NoError(t, err)
	require.Equal(t, []Version{"R__mid", "R__a"}, ordered.Dependents("R__base"))
	require.Empty(t, ordered.Dependents("R__mid"), "CREATE OR REPLACE leaves what rests on it")
	require.Empty(t, ordered.Dependents("R__other"))
	require.Empty(t, ordered.Dependents("R__unknown"))
}

// FuzzRepeatables looks for texts that make the order lose a file, or hang.
func FuzzRepeatables(f *testing.F) {
	f.Add("CREATE VIEW a AS SELECT b.c FROM b", "CREATE FUNCTION b() RETURNS int AS $$a$$")
	f.Add("CREATE OR REPLACE", "'")
	f.Add("CREATE VIEW a.b.c.", "$$x")
	f.Fuzz(func(t *testing.T, a, b string) {
		first, err := Parse("R__a.sql", a)
		if err != nil {
			return
		}
		second, err := Parse("R__b.sql", b)
		if err != nil {
			return
		}
		ordered, err := OrderRepeatables([]Migration{second, first})
		if err != nil {
			require.NotEmpty(t, Problems(err))
			return
		}
		all := namesOf(ordered.Migrations)
		slices.Sort(all)
		require.Equal(t, []string{"a", "b"}, all)
	})
}
