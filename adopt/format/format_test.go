package format_test

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/migration"
)

// files are a folder by file name.
type files map[string]string

func (f files) source() migration.Source {
	folder := fstest.MapFS{}
	for name, text := range f {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return migration.Source{FS: folder, Label: "db"}
}

func (f files) read(t testing.TB, name string) format.Project {
	t.Helper()
	p, err := f.tryToRead(t, name)
	require.NoError(t, err)
	return p
}

func (f files) tryToRead(t testing.TB, name string) (format.Project, error) {
	t.Helper()
	reader, known := format.Named(name)
	require.True(t, known, name)
	return reader.Read(f.source())
}

// story is what a project's migrations are, a line each: version, name, path,
// and the commands of both directions.
func story(p format.Project) (lines []string) {
	section := func(s migration.Section) string {
		var commands []string
		if s.NoTransaction {
			commands = append(commands, "apart")
		}
		for _, statement := range s.Statements {
			commands = append(commands, statement.Command)
		}
		return strings.Join(commands, ", ")
	}
	for _, f := range p.Files {
		m := f.Migration
		line := string(m.Version) + " " + m.Name + " " + m.Path + " (" + f.Key + "): " + section(m.Up) + " | " +
			section(m.Down)
		if m.Unfit != nil {
			line += " unfit: " + m.Unfit.Error()
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEachFormatReadsItsFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"goose": {files{
			"00002_touch.sql": "-- words\nDROP TABLE a; -- before the mark, so goose does not read it\n-- +goose up\n" +
				"-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n" +
				"-- +goose StatementEnd\n--+goose   Down\nDROP FUNCTION f();",
			"1_a.sql": "-- +goose Up\nCREATE TABLE a (id int);\n",
			"3_alone.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON a (id);\n" +
				"-- +goose Down\nDROP INDEX i;\n",
			"4_go.go":       "package migrations",
			"4_go_test.go":  "package migrations",
			"5_bare.sql":    "SELECT 1;",
			"6_control.sql": "-- +goose Up\nSELECT 1;\nCOMMIT;\nSELECT 2;\n",
			"README.md":     "",
			"notes.sql":     "SELECT 1",
		}, []string{
			"1 a db/1_a.sql (1): CREATE TABLE | ",
			"00002 touch db/00002_touch.sql (00002): CREATE FUNCTION | DROP FUNCTION",
			"3 alone db/3_alone.sql (3): apart, CREATE INDEX CONCURRENTLY | apart, DROP INDEX",
			"4 go db/4_go.go (4):  |  unfit: db/4_go.go: it is a migration in Go, which only goose can run",
			"5 bare db/5_bare.sql (5):  |  unfit: db/5_bare.sql: it has no line that says where the up migration begins, and " +
				"goose " +
				"refuses it",
			"6 control db/6_control.sql (6):  |  unfit: db/6_control.sql:3:1: COMMIT ends a transaction block that nothing opens",
		}},
		"golang-migrate": {files{
			"000001_a.up.sql":   "CREATE TABLE a (id int)",
			"000001_a.down.sql": "DROP TABLE a",
			"2_only.up.sql":     "BEGIN;\nCREATE TABLE b (id int);\nCOMMIT;",
			"3_back.down.sql":   "DROP TABLE b;",
			"4_.up.sql":         "  \n",
			"5_x.up.sql":        "SELECT 1;",
			"5_y.down.sql":      "SELECT 1;\nCOMMIT;",
			"6_x.up.js":         "x",
			"schema.sql":        "",
		}, []string{
			"000001 a db/000001_a.up.sql (1): CREATE TABLE | DROP TABLE",
			"2 only db/2_only.up.sql (2): CREATE TABLE | ",
			"3 back db/3_back.down.sql (3): SELECT | DROP TABLE",
			"4  db/4_.up.sql (4): SELECT | ",
			"5 x db/5_x.up.sql (5):  |  unfit: db/5_y.down.sql:2:1: COMMIT ends a transaction block that nothing opens",
			"6 x db/6_x.up.js (6):  |  unfit: db/6_x.up.js: it is no SQL: its name ends in .js",
		}},
		"sql-migrate": {files{
			"20240115-a.sql": "DROP TABLE x;\n-- +migrate Up\nCREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;",
			"20240116_b.sql": "-- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY i ON a (id);",
			"3.sql":          "-- +migrate Up\nSELECT 1;",
			"4.sql":          "SELECT 1;",
			"03_x.sql":       "-- +migrate Up\nSELECT 1;",
			"03_x-y.sql":     "-- +migrate Up\nSELECT 1;",
			"names.sql":      "-- +migrate Up\nSELECT 1;",
			"plain.sql":      "SELECT 1;",
		}, []string{
			"03_x-y.sql x-y db/03_x-y.sql (03_x-y.sql): SELECT | ",
			"03_x.sql x db/03_x.sql (03_x.sql): SELECT | ",
			"3.sql  db/3.sql (3.sql): SELECT | ",
			"4  db/4.sql (4.sql): SELECT | ",
			"20240115 a db/20240115-a.sql (20240115-a.sql): CREATE TABLE | DROP TABLE",
			"20240116 b db/20240116_b.sql (20240116_b.sql): apart, CREATE INDEX CONCURRENTLY | ",
			"names.sql names db/names.sql (names.sql): SELECT | ",
			"plain.sql plain db/plain.sql (plain.sql):  |  unfit: db/plain.sql: it has no line that says " +
				"where the up section begins, and sql-migrate refuses it",
		}},
		"diesel": {files{
			"00000000000000_setup/up.sql":              "-- nothing yet\n",
			"2018-11-03-160713_create_things/up.sql":   "CREATE TABLE things (id int);\n-- down\nSELECT 1;",
			"2018-11-03-160713_create_things/down.sql": "DROP TABLE things;",
			"2018-11-04-000000_index/up.sql":           "CREATE INDEX i ON things (id);",
			"2018-11-04-000000_index/down.sql":         "-- nothing\n",
			"2018-11-04-000000_index/metadata.toml":    "run_in_transaction = false\n",
			"notes/README.md":                          "",
		}, []string{
			"00000000000000 setup db/00000000000000_setup/up.sql (00000000000000): SELECT | ",
			"20181103160713 create_things db/2018-11-03-160713_create_things/up.sql (20181103160713): CREATE TABLE, SELECT | " +
				"DROP TABLE",
			"20181104000000 index db/2018-11-04-000000_index/up.sql (20181104000000): apart, CREATE INDEX | apart, SELECT",
		}},
		"dbmate": {files{
			"20240115_a.sql": "-- migrate:up\nCREATE TABLE a (id int);\n\n-- migrate:down\nDROP TABLE a;",
			"20240116.sql": "--migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON a (id);\n" +
				"--  migrate:down  transaction:false\nDROP INDEX i",
			"1_none.sql": "SELECT 1;",
		}, []string{
			"1 none db/1_none.sql (1):  |  unfit: db/1_none.sql: it has no line that says where the up migration begins, and " +
				"dbmate " +
				"refuses it",
			"20240115 a db/20240115_a.sql (20240115): CREATE TABLE | DROP TABLE",
			"20240116  db/20240116.sql (20240116): apart, CREATE INDEX CONCURRENTLY | apart, DROP INDEX",
		}},
		"flyway": {files{
			"V1__add_users.sql":           "CREATE TABLE users (id int);",
			"U1__add_users.sql":           "DROP TABLE users;",
			"deep/V1_2__more.sql":         "CREATE TABLE ${prefix}_a (note text DEFAULT '${the.note}'); -- ${only in a comment}",
			"V1.10__late.sql":             "SELECT 1;",
			"V2__empty.sql":               "",
			"V3__program.java":            "class X {}",
			"V4__clock.sql":               "SELECT '${flyway:timestamp}';",
			"V5__conf.sql":                "SELECT 1;",
			"V5__conf.sql.conf":           "executeInTransaction=false\nplaceholderReplacement=false\n",
			"V6__conf.sql":                "SELECT 1;",
			"V6__conf.sql.conf":           "# words\nexecuteInTransaction=false\n",
			"B1__superseded.sql":          "SELECT 1;",
			"R__active users, by day.sql": "CREATE OR REPLACE VIEW active AS SELECT 1;",
			"note.txt":                    "",
		}, []string{
			"1 add_users db/V1__add_users.sql (1): CREATE TABLE | DROP TABLE",
			"1.2 more db/deep/V1_2__more.sql (1.2): CREATE TABLE | ",
			"1.10 late db/V1.10__late.sql (1.10): SELECT | ",
			"2 empty db/V2__empty.sql (2): SELECT | ",
			"3 program db/V3__program.java (3):  |  unfit: db/V3__program.java: it is a program, which only Flyway can run",
			"4 clock db/V4__clock.sql (4):  |  unfit: db/V4__clock.sql: only Flyway has a value for ${flyway:timestamp}",
			"5 conf db/V5__conf.sql (5):  |  unfit: db/V5__conf.sql: V5__conf.sql.conf sets placeholderReplacement = false, " +
				"which whimbrel does not read",
			"6 conf db/V6__conf.sql (6): SELECT | ",
			"R__active_users__by_day active_users__by_day db/R__active users, by day.sql (active users, by day): CREATE OR " +
				"REPLACE VIEW | ",
		}},
		"tern": {files{
			"tern.conf": "[database]\nuser = x\n[data]\n# words\nprefix = shop\nsecret = {{env \"S\"}}\n",
			"001_a.sql": "CREATE TABLE {{.prefix}}_a (id int);\n---- create above / drop below ----\n" +
				"DROP TABLE {{ .prefix }}_a;",
			"002_b.sql": "---- tern: disable-tx ----\nCREATE INDEX CONCURRENTLY i ON a (id);\n" +
				"---- create above / drop below ----\n---- tern: disable-tx ----\nDROP INDEX i;",
			"003_c.sql":       "{{ template \"shared/v.sql\" . }}",
			"004_d.sql":       "SELECT {{ upper .prefix }};",
			"005_e.sql":       "{{if .nothing}}SELECT 1;{{end}}",
			"006_f.sql":       "SELECT '{{.secret}}';",
			"007_g.sql":       "---- create above / drop below ----\nSELECT 1;",
			"shared/v.sql":    "CREATE VIEW v AS SELECT '{{.prefix}}';",
			"shared/odd.sql":  "{{",
			"shared/note.txt": "",
		}, []string{
			"001 a db/001_a.sql (001): CREATE TABLE | DROP TABLE",
			"002 b db/002_b.sql (002): apart, CREATE INDEX CONCURRENTLY | apart, DROP INDEX",
			"003 c db/003_c.sql (003): CREATE VIEW | ",
			"004 d db/004_d.sql (004):  |  unfit: db/004_d.sql:1:11: the template cannot be rendered: function \"upper\" not " +
				"defined",
			"005 e db/005_e.sql (005):  |  unfit: db/005_e.sql:1:6: the template cannot be rendered: map has no entry for key " +
				"\"nothing\"",
			"006 f db/006_f.sql (006): SELECT | ",
			"007 g db/007_g.sql (007): SELECT | SELECT",
		}},
		"node-pg-migrate": {files{
			"1700000000000_a.sql": "-- Up Migration\nCREATE TABLE a (id int);\n-- Down Migration\nDROP TABLE a;",
			"1700000000001_b.js":  "exports.up = (pgm) => { pgm.sql('SELECT 1') }",
			"1700000000002_c.ts":  "export const up = 1",
			"1700000000003_d.js":  "exports.up = (pgm) => { pgm.noTransaction() }",
			"1700000000004_e.js":  "export const up = (pgm) => {}",
		}, []string{
			"1700000000000 a db/1700000000000_a.sql (1700000000000_a): CREATE TABLE | DROP TABLE",
			"1700000000001 b db/1700000000001_b.js (1700000000001_b):  | ",
			"1700000000002 c db/1700000000002_c.ts (1700000000002_c):  | ",
			"1700000000003 d db/1700000000003_d.js (1700000000003_d):  |  unfit: db/1700000000003_d.js: only node-pg-migrate " +
				"can run it: it asks for no transaction",
			"1700000000004 e db/1700000000004_e.js (1700000000004_e):  | ",
		}},
		"knex": {files{
			"20240101000000_a.js": "exports.up = (knex) => knex.raw('SELECT 1')", "knexfile.js": "x",
			"20240102000000_b.ts":  `import type { Knex } from "knex"; export async function up(knex: Knex) {}`,
			"20240103000000_c.mjs": "export const config = { transaction: false }",
		}, []string{
			"20240101000000 a db/20240101000000_a.js (20240101000000_a.js):  | ",
			"20240102000000 b db/20240102000000_b.ts (20240102000000_b.ts):  | ",
			"20240103000000 c db/20240103000000_c.mjs (20240103000000_c.mjs):  | ",
		}},
		"db-migrate": {files{
			"20240101000000-a.js": "x", "sqls/20240101000000-a-up.sql": "CREATE TABLE a (id int);",
			"sqls/20240101000000-a-down.sql": "DROP TABLE a;",
			"20240102000000-b.js":            "exports.up = 1",
		}, []string{
			"20240101000000 a db/sqls/20240101000000-a-up.sql (20240101000000-a): CREATE TABLE | DROP TABLE",
			"20240102000000 b db/20240102000000-b.js (20240102000000-b):  |  unfit: db/20240102000000-b.js: only db-migrate " +
				"can run it: it has no file sqls/20240102000000-b-up.sql",
		}},
		"prisma": {files{
			"migration_lock.toml": "", "20240101000000_a/migration.sql": "-- CreateTable\nCREATE TABLE a (id int);",
			"20240102000000_b/migration.sql": "-- empty", "views/x.sql": "",
		}, []string{
			"20240101000000 a db/20240101000000_a/migration.sql (20240101000000_a): CREATE TABLE | ",
			"20240102000000 b db/20240102000000_b/migration.sql (20240102000000_b): SELECT | ",
		}},
		"drizzle": {files{
			"meta/_journal.json": `{"entries":[{"idx":0,"when":17,"tag":"0000_a"},{"idx":1,"when":18,"tag":"0001_b"}]}`,
			"0000_a.sql": "CREATE TABLE a (id int)--> statement-breakpoint\n" +
				"CREATE TABLE b (id int);--> statement-breakpoint\nSELECT 1", "0001_b.sql": "", "0002_none.sql": "SELECT 1",
		}, []string{
			"0000 a db/0000_a.sql (17): CREATE TABLE, CREATE TABLE, SELECT | ",
			"0001 b db/0001_b.sql (18): SELECT | ",
		}},
		"plain": {files{
			"001-a.sql": "CREATE TABLE a (id int);",
			"2b.sql":    "SELECT 1;",
			"x.sql":     "SELECT 1;",
		}, []string{
			"001 a db/001-a.sql (001-a.sql): CREATE TABLE | ",
			"2 b db/2b.sql (2b.sql): SELECT | ",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, story(test.files.read(t, name)))
		})
	}
}

// What a message points to is where it is in the file that lies there.
func TestPlacesAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	p := files{"1_a.sql": "-- about it\n-- +goose Up\n\n  CREATE TABLE a (id int);\n-- +goose ENVSUB ON\n" +
		"SELECT '$HOME';\n-- +goose Down\nDROP TABLE a;\n"}.read(t, "goose")
	m := p.Files[0].Migration
	require.Equal(t, "4:3", m.Up.Statements[0].Start.String())
	require.Equal(t, "6:1", m.Up.Statements[1].Start.String())
	require.Equal(t, "8:1", m.Down.Statements[0].Start.String())

	p = files{"1_a.up.sql": "SELECT 1;\nSELECT 2;", "1_a.down.sql": "SELECT 3;"}.read(t, "golang-migrate")
	down := p.Files[0].Migration.Down
	require.Equal(t, "db/1_a.down.sql", down.Path)
	require.Equal(t, down.Start, down.Statements[0].Start.Offset)
}

func TestGooseTakesVariablesFromTheEnvironment(t *testing.T) {
	t.Parallel()
	p := files{
		"1_a.sql": "-- +goose " +
			"Up\n-- +goose ENVSUB ON\nCREATE TABLE ${PREFIX:-shop}_a (note text DEFAULT '$NOTE ${MUST?say it}');\n" +
			"SELECT $$$$a$$$$; -- $ONLY_HERE\n-- +goose ENVSUB OFF\nSELECT '$NOTE'\n",
		"2_b.sql": "-- +goose Up\n-- +goose ENVSUB ON\nSELECT '${NOTE:0:2}';\n",
		"3_c.sql": "-- +goose Up\n-- +goose ENVSUB ON\nSELECT '${PREFIX-other}';\n",
		"4_d.sql": "-- +goose Up\nSELECT '${NOTE}';\n-- +goose ENVSUB ON\nSELECT '$NOTE';\n",
	}.read(t, "goose")
	require.Equal(t, map[string]string{"PREFIX": "shop"}, p.Variables)
	m := p.Files[0].Migration
	require.Nil(t, m.Unfit)
	var names []string
	for _, v := range m.Variables {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{"PREFIX", "NOTE", "MUST"}, names)
	filled, err := m.WithVariables(map[string]string{"PREFIX": "x", "NOTE": "it's", "MUST": "1"}, false)
	require.NoError(t, err)
	require.Equal(t, "CREATE TABLE x_a (note text DEFAULT 'it''s 1')", filled.Up.Statements[0].Text)
	require.Equal(t, "SELECT $$a$$", filled.Up.Statements[1].Text)
	require.Equal(t, "SELECT '$NOTE'", filled.Up.Statements[2].Text)
	require.ErrorContains(t, p.Files[1].Migration.Unfit, "whimbrel has nothing like ${NOTE:0:2}")
	require.ErrorContains(t, p.Files[2].Migration.Unfit, `PREFIX has two defaults, "shop" and "other"`)
	require.ErrorContains(t, p.Files[3].Migration.Unfit, "replaced in some lines")
}

func TestFlywaysPlaceholdersBecomeVariables(t *testing.T) {
	t.Parallel()
	m := files{"V1__a.sql": "CREATE TABLE ${prefix}_a (note text DEFAULT '${the.note}') -- ${comment}"}.read(t,
		"flyway").Files[0].Migration
	filled, err := m.WithVariables(map[string]string{"prefix": "x", "the_note": "y"}, false)
	require.NoError(t, err)
	require.Equal(t, "CREATE TABLE x_a (note text DEFAULT 'y')", filled.Up.Statements[0].Text)
}

// Flyway's own checksums, of these very texts.
func TestFlywaysChecksumIsThatOfTheLines(t *testing.T) {
	t.Parallel()
	require.Equal(t, format.FlywayChecksum("a\nb\n"), format.FlywayChecksum("a\r\nb"))
	require.NotEqual(t, format.FlywayChecksum("a\nb\n"), format.FlywayChecksum("a\nc\n"))
	require.Equal(t, int32(-390611389), format.FlywayChecksum("a")) // CRC-32 of "a" is e8b7be43
}

// A baseline of Flyway's stands for files that are gone.
func TestFlywaysBaselineStandsForWhatIsGone(t *testing.T) {
	t.Parallel()
	p := files{"B5__all.sql": "SELECT 1;", "V6__a.sql": "SELECT 1;"}.read(t, "flyway")
	require.Len(t, p.Files, 2)
	require.True(t, p.Files[0].Covers)
}

func TestAtlasSumsAreHeldAgainstTheFiles(t *testing.T) {
	t.Parallel()
	running := sha256.New()
	sum := func(name, text string) string {
		running.Write([]byte(name + text))
		return name + " h1:" + base64.StdEncoding.EncodeToString(running.Sum(nil)) + "\n"
	}
	texts := files{"1_a.sql": "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY i ON a (id);",
		"2_b.sql": "-- atlas:checkpoint\n\nSELECT 2;", "3_c.sql": "-- atlas:delimiter X\n\nSELECT 3;"}
	texts["atlas.sum"] = "h1:total\n" + sum("1_a.sql", texts["1_a.sql"]) + sum("2_b.sql",
		texts["2_b.sql"]) + sum("3_c.sql", texts["3_c.sql"])
	require.Equal(t, []string{
		"1 a db/1_a.sql (1): apart, CREATE INDEX CONCURRENTLY | ",
		"3 c db/3_c.sql (3):  |  unfit: db/3_c.sql: whimbrel has nothing like atlas:delimiter",
	}, story(texts.read(t, "atlas")))
	texts["2_b.sql"] += " "
	_, err := texts.tryToRead(t, "atlas")
	require.ErrorContains(t, err, "db/2_b.sql: it is not what atlas.sum says that it is")
}

// Of whom the checksum is of the bytes: a history may have been made of a checkout with
// other line ends.
func TestAFileIsWhatItWasWhicheverItsLineEnds(t *testing.T) {
	t.Parallel()
	const lf, other = "CREATE TABLE a (\n id int\n);\n", "CREATE TABLE b (\n id int\n);\n"
	ends := map[string]func(string) string{
		"LF":    func(text string) string { return text },
		"CRLF":  func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
		"mixed": func(text string) string { return strings.Replace(text, "\n", "\r\n", 1) },
	}
	for name, end := range ends {
		for tool, file := range map[string]string{"prisma": "1_a/migration.sql", "drizzle": "1_a.sql"} {
			project := files{file: end(lf),
				"meta/_journal.json": end("{\"entries\": [\n{\"when\": 1, \"tag\": \"1_a\"}]}\n")}.read(t, tool)
			f := project.Files[0]
			require.Equal(t, digest.SHA256(lf), f.Checksum, "%s %s", tool, name)
			for _, stored := range []string{lf, end(lf), ends["CRLF"](lf)} {
				require.True(t, f.Keeps(digest.SHA256(stored)), "%s %s %q", tool, name, stored)
			}
			require.False(t, f.Keeps(digest.SHA256(other)), "%s %s", tool, name)
		}
		for summed := range ends {
			sum := sha256.Sum256([]byte("1_a.sql" + ends[summed](lf)))
			texts := files{"1_a.sql": end(lf),
				"atlas.sum": end("h1:total\n1_a.sql h1:" + base64.StdEncoding.EncodeToString(sum[:]) + "\n")}
			_, err := texts.tryToRead(t, "atlas")
			if summed == "mixed" && name != "mixed" {
				require.Error(t, err, "nobody can know which lines had which end")
				continue
			}
			require.NoError(t, err, "%s %s", name, summed)
			texts["1_a.sql"] = end(other)
			_, err = texts.tryToRead(t, "atlas")
			require.Error(t, err)
		}
	}
}

func TestTwoFilesOfOneVersionAreRefused(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]files{
		"goose":          {"1_a.sql": "-- +goose Up\nSELECT 1;", "01_b.sql": "-- +goose Up\nSELECT 1;"},
		"golang-migrate": {"1_a.up.sql": "SELECT 1;", "1_b.up.sql": "SELECT 1;"},
		"flyway":         {"V1__a.sql": "SELECT 1;", "V1.0__b.sql": "SELECT 1;"},
		"dbmate":         {"1_a.sql": "-- migrate:up\nSELECT 1;", "1_b.sql": "-- migrate:up\nSELECT 1;"},
	} {
		_, err := f.tryToRead(t, name)
		require.Len(t, migration.Problems(err), 1, name)
		require.Equal(t, migration.CodeDuplicateVersion, migration.Problems(err)[0].Code, name)
	}
	_, err := format.All()[0].Read(migration.Source{FS: fstest.MapFS{}, Dir: "none"})
	require.ErrorContains(t, err, "no such folder")
}

// Tools that know a migration by its name may have two with a number: these go by their
// names, in the order of the tool, and all others by their numbers.
func TestASharedNumberIsNoMistakeWhereTheNameIsTheIdentity(t *testing.T) {
	t.Parallel()
	const up = "-- +migrate Up"
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"prisma": {files{"1_a/migration.sql": "", "20_c/migration.sql": "", "20_b/migration.sql": ""},
			"1 20_b 20_c"},
		"knex":            {files{"20_c.js": "knex", "20_b.ts": "knex", "3_a.js": "knex"}, "3 20_b.ts 20_c.js"},
		"node-pg-migrate": {files{"20_c.sql": "SELECT 1;", "20_b.js": "pgm", "3_a.sql": "SELECT 1;"}, "3 20_b 20_c"},
		"db-migrate":      {files{"20-c.js": "dbm", "20-b.js": "dbm", "3-a.js": "dbm"}, "3 20-b 20-c"},
		"sql-migrate":     {files{"020_c.sql": up, "20_b.sql": up, "3_a.sql": up}, "3 020_c.sql 20_b.sql"},
		"drizzle": {files{
			"meta/_journal.json": `{"entries": [{"when": 1, "tag": "0000_a"},
				{"when": 2, "tag": "0001_b"}, {"when": 3, "tag": "0001_c"}]}`,
			"0000_a.sql": "SELECT 1;", "0001_b.sql": "SELECT 1;", "0001_c.sql": "SELECT 1;",
		}, "0000 0001_b 0001_c"},
	} {
		var versions []string
		project := test.files.read(t, name)
		for _, m := range project.Migrations() {
			versions = append(versions, string(m.Version))
		}
		require.Equal(t, test.want, strings.Join(versions, " "), name)
	}
}

func TestFormatsAreDetectedByTheirFiles(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]files{
		"goose":           {"1_a.sql": "-- +goose Up\nSELECT 1;"},
		"golang-migrate":  {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": ""},
		"dbmate":          {"1_a.sql": "-- migrate:up\nSELECT 1;"},
		"sql-migrate":     {"1-a.sql": "-- +migrate Up\nSELECT 1;"},
		"flyway":          {"sub/V1__a.sql": "SELECT 1;"},
		"tern":            {"1_a.sql": "SELECT 1;\n---- create above / drop below ----\n"},
		"atlas":           {"1_a.sql": "", "atlas.sum": ""},
		"node-pg-migrate": {"1_a.sql": "-- Up Migration\nSELECT 1;"},
		"knex":            {"1_a.js": "exports.up = (knex) => {}"},
		"db-migrate":      {"1_a.js": "var dbm;", "sqls/x.sql": ""},
		"diesel":          {"2018-11-03-160713_a/up.sql": ""},
		"prisma":          {"1_a/migration.sql": ""},
		"drizzle":         {"meta/_journal.json": "{}"},
		"":                {"1_a.sql": "-- +goose Up\nSELECT 1;", "2_b.sql": "SELECT 1;"},
		"golang-migrate ": {"1_a.up.sql": "-- Up Migration of a\nSELECT 1;",
			"1_a.down.sql": "-- Down Migration\n-- migrate:up\nSELECT 1;"},
		"flyway golang-migrate": {"V1__a.sql": "SELECT 1;", "1_a.up.sql": "SELECT 1;"},
	} {
		var names []string
		for _, found := range format.Detect(f.source()) {
			names = append(names, found.Name)
		}
		require.Equal(t, strings.TrimSpace(want), strings.Join(names, " "))
	}
	require.Empty(t, format.Detect(migration.Source{FS: os.DirFS("testdata/none")}))
}

// What is written can be read back, and is the same statements.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	t.Parallel()
	loaded, err := migration.Load(migration.Source{FS: os.DirFS("../testdata/shop")})
	require.NoError(t, err)
	require.NotEmpty(t, loaded)
	for _, f := range format.All() {
		if !f.Writes() {
			continue
		}
		again := files{}
		for _, m := range loaded {
			written, err := f.Write(m)
			require.NoError(t, err)
			for _, file := range written {
				again[file.Name] = file.Text
			}
		}
		p := again.read(t, f.Name)
		require.Len(t, p.Files, len(loaded), f.Name)
		for i, m := range p.Migrations() {
			require.Nil(t, m.Unfit, f.Name)
			require.Equal(t, texts(loaded[i].Up), texts(m.Up), f.Name)
			if f.Name == "dbmate" && len(loaded[i].Down.Statements) == 0 { // which wants a down block in each file
				require.Equal(t, []string{"SELECT 1"}, texts(m.Down), "what does nothing")
			} else if f.Name != "plain" {
				require.Equal(t, texts(loaded[i].Down), texts(m.Down), f.Name)
			}
			require.Equal(t, loaded[i].Version, m.Version, f.Name)
		}
	}
}

func texts(s migration.Section) (all []string) {
	for _, statement := range s.Statements {
		all = append(all, statement.Text)
	}
	return all
}

func TestWhatAFormatCannotHoldIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-- +migrate Set lock_timeout = 1s\nSELECT 1;":                                                               "1_a.sql:1:1: goose has nothing like Set",
		"-- +migrate Batch t by id\nUPDATE t SET a = 1 WHERE id > :from AND id <= :to;":                              "goose has nothing like Batch",
		"COPY t FROM stdin;\n1\n\\.\n":                                                                               "goose cannot run COPY … FROM stdin",
		"-- +migrate Variables X\nSELECT '${X}';":                                                                    "goose has no variables",
		"-- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY i ON t (a);\nCREATE INDEX CONCURRENTLY j ON t (b);": "",
	} {
		m, err := migration.Parse("1_a.sql", text)
		require.NoError(t, err)
		goose, _ := format.Named("goose")
		pairs, _ := format.Named("golang-migrate")
		_, err = goose.Write(m)
		if want != "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		_, err = pairs.Write(m)
		require.ErrorContains(t, err, "golang-migrate sends a file as a whole, in which CREATE INDEX CONCURRENTLY cannot "+
			"stand beside others")
	}
	script, err := migration.Parse("1_a.js", "x")
	require.NoError(t, err)
	goose, _ := format.Named("goose")
	_, err = goose.Write(script)
	require.ErrorContains(t, err, "a script cannot be a migration of goose")
}

// A translation keeps the lines, never fails but by an error that says where, and
// is the same whenever it is made. What can be run reads the same in whimbrel's
// own format, with the same checksum.
// SQL that is not read must not go unnoticed.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"flyway": {files{"V1__a.sql": "SELECT 1;", "U1__a.sql": "SELECT 2;", "R__b.sql": "SELECT 3;",
			"beforeMigrate.sql": "SELECT 4;", "afterEachMigrate__x.sql": "SELECT 5;", "v2__c.sql": "SELECT 6;",
			"V1__a.sql.conf": ""}, []string{
			"Flyway's callbacks are not run; what they do belongs into hooks: db/afterEachMigrate__x.sql, db/beforeMigrate.sql",
			"SQL in the folder that is not read: db/v2__c.sql",
		}},
		"golang-migrate": {files{"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 2;", "notes.sql": "", "README.md": ""},
			[]string{"SQL in the folder that is not read: db/notes.sql"}},
		"drizzle": {files{"meta/_journal.json": `{"entries":[{"when":1,"tag":"0_a"}]}`, "0_a.sql": "SELECT 1",
			"1_b.sql": "SELECT 2"}, []string{"SQL in the folder that is not read: db/1_b.sql"}},
		"goose": {files{"1_a.sql": "-- +goose Up\nSELECT 1;"}, nil},
	} {
		f, _ := format.Named(name)
		p, err := f.Read(test.files.source())
		require.NoError(t, err, name)
		require.Equal(t, test.want, p.Remarks, name)
	}
}

// A slip in a mark of the tool's own is refused, as the tool does or should: what is below
// it would run as a part of the up migration.
func TestAMarkOfTheToolThatIsMisspelledIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ begin, mark string }{
		"goose":  {"-- +goose Up", "-- +goose Dwon"},
		"dbmate": {"-- migrate:up", "-- migrate:Down"},
	} {
		f, _ := format.Named(name)
		p, err := f.Read(files{"1_a.sql": test.begin + "\nCREATE TABLE a ();\n" + test.mark + "\nDROP TABLE a;\n"}.source())
		require.NoError(t, err, name)
		unfit := p.Files[0].Migration.Unfit
		require.NotNil(t, unfit, name)
		require.Equal(t, 3, unfit.Position.Line, name)
		require.Contains(t, unfit.Message, "no tool knows this mark", name)
	}
	f, _ := format.Named("dbmate")
	p, err := f.Read(files{"1_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:dwon\nDROP TABLE a;\n"}.source())
	require.NoError(t, err)
	require.NotNil(t, p.Files[0].Migration.UnreadMark)
}

func FuzzReaders(f *testing.F) {
	for _, text := range []string{
		"-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;", "-- +goose Up\n-- +goose ENVSUB ON\nSELECT '$A ${B:-c}';",
		"-- migrate:up transaction:false\nSELECT 1",
		"-- +migrate Up\nSELECT 1;", "SELECT '${a}';", "---- create above / drop below ----",
		"-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2", "\xff", "$${$", "--> statement-breakpoint",
	} {
		f.Add(text)
	}
	own, _ := format.Named(format.Own)
	f.Fuzz(func(t *testing.T, text string) {
		for _, reader := range format.All() {
			if reader.Name == format.Own {
				continue
			}
			for _, name := range []string{"1_a.sql", "1_a.up.sql", "V1__a.sql", "R__a.sql", "1_a.js", "1_a/migration.sql",
				"tern.conf", "meta/_journal.json"} {
				folder := files{name: text, strings.Replace(name, ".up.", ".down.", 1): text, "sqls/1_a-up.sql": text,
					"0_b.sql": text}
				p, err := reader.Read(folder.source())
				if err != nil {
					require.NotEmpty(t, migration.Problems(err))
					continue
				}
				again, err := reader.Read(folder.source())
				require.NoError(t, err)
				for i, m := range p.Migrations() {
					require.Equal(t, m.Checksum, again.Files[i].Migration.Checksum)
					if m.Unfit != nil {
						require.NotEmpty(t, m.Unfit.Message)
						continue
					}
					written, err := own.Write(m)
					if m.Version.IsName() {
						require.ErrorContains(t, err, "it has no number of its own")
						continue
					}
					require.NoError(t, err)
					parsed, err := migration.Parse(written[0].Name, written[0].Text)
					if err != nil && migration.Problems(err)[0].Code == migration.CodeForeignAnnotation {
						continue // a mark of yet another tool, a comment to its own
					}
					require.NoError(t, err, "%q", written[0].Text)
					require.Equal(t, m.Checksum, parsed.Checksum)
				}
			}
		}
	})
}

// A file means what it means to its own tool: an empty way up is applied, and in files
// without marks a comment is a comment.
func TestAnEmptyFileMeansWhatItMeansToItsTool(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		format   string
		files    map[string]string
		up, down int // statements; down -1: it is irreversible
		unread   bool
	}{
		"an empty down of golang-migrate": {"golang-migrate", map[string]string{"1_a.up.sql": "SELECT 2;",
			"1_a.down.sql": ""}, 1, 1, false},
		"one with a comment": {"golang-migrate", map[string]string{"1_a.up.sql": "SELECT 2;",
			"1_a.down.sql": "-- nothing\n"}, 1, 1, false},
		"no file for the down migration": {"golang-migrate", map[string]string{"1_a.up.sql": "SELECT 2;"}, 1, -1, false},
		"an empty way up": {"golang-migrate", map[string]string{"1_a.up.sql": "-- later\n",
			"1_a.down.sql": "SELECT 2;"}, 1, 1, false},
		"a down that does something": {"golang-migrate", map[string]string{"1_a.up.sql": "SELECT 2;",
			"1_a.down.sql": "SELECT 1; SELECT 2;"}, 1, 2, false},
		"an empty way up of goose": {"goose",
			map[string]string{"1_a.sql": "-- +goose Up\n-- +goose Down\nSELECT 2;\n"}, 1, 1, false},
		"one of goose with a comment": {"goose",
			map[string]string{"1_a.sql": "-- +goose Up\n-- later\n\n-- +goose Down\n"}, 1, 1, false},
		"goose without a down mark": {"goose", map[string]string{"1_a.sql": "-- +goose Up\nSELECT 2;\n"}, 1, -1, false},
		"an empty down of dbmate": {"dbmate",
			map[string]string{"1_a.sql": "-- migrate:up\nSELECT 2;\n-- migrate:down\n"}, 1, 1, false},
		"dbmate without a down mark": {"dbmate", map[string]string{"1_a.sql": "-- migrate:up\nSELECT 2;\n"}, 1, -1,
			false},
		"an empty down of sql-migrate": {"sql-migrate",
			map[string]string{"1_a.sql": "-- +migrate Up\nSELECT 2;\n-- +migrate Down\n-- no\n"}, 1, 1, false},
		"an empty down of node-pg-migrate": {"node-pg-migrate", map[string]string{
			"1_a.sql": "-- Up Migration\nSELECT 2;\n-- Down Migration\n"}, 1, 1, false},
		"an empty way up of dbmate": {"dbmate", map[string]string{"1_a.sql": "-- migrate:up\n\n-- migrate:down\n" +
			"SELECT 2;\n"}, 1, 1, false},
		"a comment of Flyway's": {"flyway", map[string]string{"V1__a.sql": "-- nothing to do\n"}, 1, -1, false},
		"a heading in Flyway's file": {"flyway", map[string]string{"V1__a.sql": "SELECT 1;\n-- down\nSELECT 2;\n"}, 2, -1,
			false},
		"a heading in golang-migrate's": {"golang-migrate",
			map[string]string{"1_a.up.sql": "SELECT 1;\n-- rollback\nSELECT 2;\n"}, 2, -1, false},
		"a slip in goose's": {"goose", map[string]string{"1_a.sql": "-- +goose Up\nSELECT 1;\n-- goose Down\n" +
			"SELECT 2;\n"}, 2, -1, true},
		"a mark of another tool": {"golang-migrate", map[string]string{
			"1_a.up.sql": "-- Up Migration\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"}, 2, -1, false},
		"one in its down migration": {"golang-migrate", map[string]string{
			"1_a.up.sql": "SELECT 1;\n", "1_a.down.sql": "-- Down Migration\nDROP TABLE a,\n-- Down Migration\nb;\n"}, 1, 1,
			false},
		"one in Flyway's": {"flyway", map[string]string{"V1__a.sql": "-- rambler up\nSELECT 1;\n"}, 1, -1, false},
		"one in goose's down": {"goose", map[string]string{
			"1_a.sql": "-- +goose Up\n-- Up Migration\nSELECT 1;\n-- +goose Down\n-- Down Migration\nSELECT 2;\n"}, 1, 1, false},
		"one in goose's up": {"goose", map[string]string{
			"1_a.sql": "-- +goose Up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"}, 2, -1, true},
		"tern's line in goose's": {"goose", map[string]string{
			"1_a.sql": "-- +goose Up\nSELECT 1;\n---- create above / drop below ----\nSELECT 2;\n"}, 2, -1, true},
		"a remark in goose's": {"goose", map[string]string{
			"1_a.sql": "-- +goose Up\nSELECT 1;\n-- +migrate Prose\n-- down\nSELECT 2;\n"}, 2, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, text := range test.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			f, known := format.Named(test.format)
			require.True(t, known)
			project, err := f.Read(migration.Source{FS: files})
			require.NoError(t, err)
			require.Len(t, project.Files, 1)
			m := project.Files[0].Migration
			require.Nil(t, m.Unfit)
			require.Len(t, m.Up.Statements, test.up)
			require.False(t, m.Empty())
			require.Equal(t, test.down >= 0, m.Reversible())
			if test.down >= 0 {
				require.Len(t, m.Down.Statements, test.down)
				stored, err := migration.ParseStored(m.Version, m.Name, m.StoredDown())
				require.NoError(t, err)
				require.Len(t, stored.Down.Statements, test.down)
			}
			require.Equal(t, test.unread, m.UnreadMark != nil)
			if test.unread {
				require.Contains(t, m.UnreadMark.Remedy, `write "-- +goose Down" in its place`)
			}
		})
	}
}
