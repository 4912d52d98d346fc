package js_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

// nodeMigration is a file of testdata/node, where migrations lie as they were
// written for a runner on Node.js.
func nodeMigration(t *testing.T, name string) migration.Migration {
	t.Helper()
	folder := filepath.Join("testdata", "node")
	text, err := os.ReadFile(filepath.Join(folder, name))
	require.NoError(t, err)
	return migration.Migration{Kind: migration.Script, Path: folder + "/" + name, Folder: os.DirFS(folder),
		Text: string(text)}
}

func TestAMigrationForNodeRunsUpAndDownUnchanged(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), `CREATE TABLE users (id serial PRIMARY KEY, name text, settings jsonb);
INSERT INTO users (name, settings) SELECT 'user ' || n, CASE WHEN n % 7 > 0 THEN jsonb_build_object('theme', 'dark', 'size', n, 'tags', jsonb_build_array('a', null)) END FROM generate_series(1, 730) n`)
	require.NoError(t, err)
	const everything = "SELECT string_agg(u::text, E'\\n' ORDER BY id) FROM (SELECT id, name, settings FROM users) u"
	before := b.text(everything)
	script := compile(t, js.Options{}, nodeMigration(t, "20240301120000_split_settings.js"))
	require.NoError(t, b.run(script, whimbrel.Up))
	require.Equal(t, []string{"log: Running split_settings", "log:   100 of 730 users", "log:   600 of 730 users",
		"info: Moved 1878 settings"}, b.printed)
	require.Equal(t, "1878 626", b.text("SELECT count(*) || ' ' || count(DISTINCT user_id) FROM user_settings"))
	require.Equal(t, `["a", null]`, b.text("SELECT value FROM user_settings WHERE user_id = 1 AND key = 'tags'"))
	require.NoError(t, b.run(script, whimbrel.Down))
	require.Equal(t, before, b.text(everything))
	require.Equal(t, "1", b.text("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = "+
		"'public'::regnamespace"))
}

func TestAMigrationForNodeThatFindsItsWorkIncompleteFails(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), `CREATE TABLE users (id serial PRIMARY KEY, settings jsonb);
INSERT INTO users (settings) VALUES ('{"a": 1, "b": 2}');
CREATE RULE lose AS ON INSERT TO users DO INSTEAD NOTHING;
CREATE FUNCTION lose() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF to_regclass('user_settings') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'lose') THEN
CREATE TRIGGER lose BEFORE INSERT ON user_settings FOR EACH ROW WHEN (new.key = 'b') EXECUTE FUNCTION nothing(); END IF; END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE EVENT TRIGGER lose ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION lose()`)
	require.NoError(t, err)
	e := fails(t, b.run(compile(t, js.Options{}, nodeMigration(t, "20240301120000_split_settings.js")), whimbrel.Up),
		whimbrel.CodeScript)
	require.Equal(t, "Validation failed: expected 2 settings, found 1", e.Message)
	require.Equal(t, [2]int{65, 13}, [2]int{e.Line, e.Column})
	require.Equal(t, "NULL", b.text("SELECT to_regclass('user_settings')"), "it was rolled back")
}

func TestAMigrationForNodeWithNeighboursRunsFromItsSourceAlone(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), `CREATE TABLE users (id serial PRIMARY KEY, phone text, country text);
INSERT INTO users (phone, country) VALUES ('030 / 12 34', 'DE'), ('+44 20 7946', NULL), ('0049301234', NULL), ('none', 'US'), (NULL, NULL), ('(555) 010', 'us')`)
	require.NoError(t, err)
	before := b.text("SELECT string_agg(u::text, ' ' ORDER BY id) FROM users u")
	original := nodeMigration(t, "20240302120000_normalise_phones.js")
	script := compile(t, js.Options{}, original)
	require.NoError(t, b.run(script, whimbrel.Up))
	require.Equal(t, []string{"warn: user 4: none is no number", "log: 4 numbers, 1 of them twice true",
		"error: not unique: Key (phone)=(+49301234) is duplicated. phone_unique"}, b.printed)
	require.Equal(t, "+49301234 +44207946 +49301234 none +1555010",
		b.text("SELECT string_agg(phone, ' ' ORDER BY id) FROM users"))

	require.NotEqual(t, original.Text, script.Source())
	stored := migration.Migration{Kind: migration.Script,
		Path: "stored down migration of 20240302120000_normalise_phones.js",
		Text: script.Source()}
	script = compile(t, js.Options{}, stored)
	require.NoError(t, b.run(script, whimbrel.Down))
	require.Equal(t, before, b.text("SELECT string_agg(u::text, ' ' ORDER BY id) FROM users u"))
}
