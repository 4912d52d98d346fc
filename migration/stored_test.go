package migration

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// requireSameDown compares the down migrations of a file and of what was stored
// of it: everything but positions and Allow.
func requireSameDown(t require.TestingT, file, stored Migration) {
	require.Equal(t, file.Irreversible, stored.Irreversible)
	require.Equal(t, file.Reason, stored.Reason)
	require.Equal(t, file.Reversible(), stored.Reversible())
	require.Equal(t, way(file), way(stored))
	require.Equal(t, file.StoredDown(), stored.StoredDown(), "storing what was stored changes nothing")
	require.Empty(t, stored.Up.Statements)
}

// way lists what going down means, without positions.
func way(m Migration) []string {
	if len(m.Down.Statements) == 0 {
		return nil
	}
	var list []string
	for _, s := range m.Settings {
		list = append(list, fmt.Sprintf("set %s=%s", s.Name, s.Value))
	}
	sort.Strings(list)
	list = append(list, fmt.Sprint(m.Down.NoTransaction))
	for _, s := range m.Down.Statements {
		list = append(list, fmt.Sprintf("%d %q", s.Class, s.Text))
		if s.Data != nil {
			list = append(list, *s.Data)
		}
		if s.Batch != nil {
			b := *s.Batch
			b.Position = Position{}
			list = append(list, fmt.Sprintf("%+v", b))
		}
		if s.Assert != nil {
			list = append(list, "assert "+s.Assert.Message)
		}
	}
	return list
}

func TestStoredDownIsTheSourceOfTheDownSections(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"no down migration", "SELECT 1;", ""},
		{"nothing but comments", "SELECT 1;\n-- +migrate Down\n-- none\n", ""},
		{"plain", "SELECT 1;\n-- +migrate Down  \n\n-- Careful!\nSELECT 2;\n", "-- Careful!\nSELECT 2;\n"},
		{"another section behind it", "-- +migrate Down\nSELECT 2;\n-- +migrate Up\nSELECT 1;", "SELECT 2;\n"},
		{"two sections", "-- +migrate Down\nSELECT 1;\n-- +migrate Down\nSELECT 2", "SELECT 1;\nSELECT 2"},
		{"two without semicolon", "-- +migrate Down\nSELECT 1 -- one;\n-- +migrate Down\nSELECT 2",
			"SELECT 1 -- one;\n;\nSELECT 2"},
		{"without transaction", "-- +migrate Down notransaction\nVACUUM a;", "-- +migrate Down notransaction\nVACUUM a;"},
		{"a setting in it stays", "-- +migrate Down\n-- +migrate Set a.b = c\nSELECT 1;",
			"-- +migrate Set a.b = c\nSELECT 1;"},
		{"a setting elsewhere comes along", "-- +migrate Set a.b = c'd\nSELECT 0;\n-- +migrate Down\nSELECT 1;", ""},
		{"irreversible", "SELECT 1;\n-- +migrate Irreversible  it is gone  ", "-- +migrate Irreversible it is gone\n"},
		{"irreversible without reason", "-- +migrate Irreversible\nSELECT 1;", "-- +migrate Irreversible\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(test.text, "c'd", "'c''d'", 1)
			if text != test.text {
				test.want = "-- +migrate Set a.b = 'c''d'\nSELECT 1;"
			}
			m := parse(t, "1_a.sql", text)
			require.Equal(t, test.want, m.StoredDown())
			stored, err := ParseStored(m.Version, m.Name, m.StoredDown())
			require.NoError(t, err)
			requireSameDown(t, m, stored)
		})
	}
}

func TestParseStoredReadsWhatOtherRunnersKept(t *testing.T) {
	t.Parallel()
	m, err := ParseStored("20240115120000", "add_users", "\nBEGIN;\nDROP TABLE users;\nDROP TYPE role;\nCOMMIT;\n")
	require.NoError(t, err)
	require.Equal(t, "stored down migration of 20240115120000_add_users", m.Path)
	require.Len(t, m.Down.Statements, 2)
	require.Equal(t, 3, m.Down.Statements[0].Start.Line)
	require.True(t, m.Reversible())
	require.True(t, m.AcceptsChecksum(sha("whatever")), "nothing is known of the file")

	for _, nothing := range []string{"", "\n", "-- Nothing to do\n"} {
		m, err = ParseStored("1", "a", nothing)
		require.NoError(t, err)
		require.False(t, m.Reversible())
		require.Empty(t, m.StoredDown())
	}
}

func TestParseStoredRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		"DROP TABLE 'a": "lexical: stored down migration of 1_a:1:12: a string is never closed",
		"DROP TABLE a;\nROLLBACK;": "transaction_control: stored down migration of 1_a:2:1: ROLLBACK is not allowed " +
			"in a migration",
		"async down(client) {\n}": "stored_script: stored down migration of 1_a: it is the source of a JavaScript " +
			"function, not SQL",
		"async (client) => {}": "stored_script: stored down migration of 1_a: it is the source of a JavaScript " +
			"function, not SQL",
		" (client) => client.query('SELECT')": "stored_script: stored down migration of 1_a: it is the source of a " +
			"JavaScript " +
			"function, not SQL",
		"client => client.query('SELECT')": "stored_script: stored down migration of 1_a: it is the source of a JavaScript " +
			"function, not SQL",
		"function (client) { return client; }": "stored_script: stored down migration of 1_a: it is the source of a " +
			"JavaScript " +
			"function, not SQL",
		"down(client) { return client; }": "stored_script: stored down migration of 1_a: it is the source of a JavaScript " +
			"function, not SQL",
	} {
		_, err := ParseStored("1", "a", stored)
		requireProblems(t, err, want)
	}
}

func TestWhatIsStoredGoesThroughTheSameDown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := fileGenerator(t)
		m, err := Parse("1_a.sql", text)
		require.NoError(t, err, text)
		stored, err := ParseStored(m.Version, m.Name, m.StoredDown())
		require.NoError(t, err, m.StoredDown())
		requireSameDown(t, m, stored)
	})
}

// fileGenerator makes valid migration files of all there is to write in them.
func fileGenerator(t *rapid.T) string {
	piece := rapid.SampledFrom([]string{
		"DROP TABLE a;\n", "DROP TABLE b; -- ;\n", "SELECT ';';", "-- a comment; here\n", "/* ; */ ", "\n", ";\n",
		"-- +migrate Batch a.b by c, d size=7\nDELETE FROM a.b WHERE c > :from AND c <= :to;\n",
		"-- +migrate Assert all; well\nSELECT true;\n",
		"-- +migrate Allow drop because\nDROP TABLE c;\n",
		"-- +migrate StatementBegin\nSELECT $$;$$\n-- +migrate StatementEnd\n",
		"COPY a FROM stdin;\n1;\n\\.\n",
	})
	last := rapid.SampledFrom([]string{"", "DROP TABLE z", "DROP TABLE z -- ;", "DROP TABLE z /* ; */",
		"DROP TABLE z; -- done"})
	marks := rapid.SampledFrom([]string{"-- +migrate Up", "-- +migrate Down", "  -- +migrate DOWN  ",
		"-- +migrate Down notransaction"})
	var text strings.Builder
	text.WriteString("-- +migrate Up\n")
	settings := 0
	for range rapid.IntRange(0, 4).Draw(t, "sections") {
		text.WriteString(marks.Draw(t, "mark") + "\n")
		for range rapid.IntRange(0, 4).Draw(t, "pieces") {
			next := piece.Draw(t, "piece")
			if strings.HasPrefix(next, "-- +") {
				text.WriteString("\n") // an annotation is the first on its line
			}
			text.WriteString(next)
		}
		if rapid.Bool().Draw(t, "setting") {
			settings++
			fmt.Fprintf(&text, "\n-- +migrate Set a.b%d = 'it''s %d'\n", settings, settings)
		}
		text.WriteString(last.Draw(t, "last") + "\n")
	}
	if rapid.Bool().Draw(t, "CRLF") {
		return strings.ReplaceAll(text.String(), "\n", "\r\n")
	}
	return text.String()
}

func TestAStoredScriptComesBackAsAScript(t *testing.T) {
	t.Parallel()
	m := parse(t, "migrations/20240101000000_move.ts", "export async function up() {}")
	stored := m.StoredScript("exports.up = 1;\n-- +migrate Down\n")
	back, err := ParseStored(m.Version, m.Name, stored)
	require.NoError(t, err)
	require.Equal(t, Script, back.Kind)
	require.Equal(t, "exports.up = 1;\n-- +migrate Down\n", back.Text)
	require.True(t, strings.HasSuffix(back.Path, "20240101000000_move.ts"), back.Path)
	require.Empty(t, back.Checksum)
	require.Equal(t, stored, back.StoredScript(back.Text), "storing what was stored changes nothing")
}
