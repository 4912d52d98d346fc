package migration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTagsAreReadFromSQL(t *testing.T) {
	t.Parallel()
	m, err := Parse("1_a.sql", "-- +migrate Tags expand, slow\nSELECT 1;\n-- +migrate Tags  v1.2:x\n-- +migrate Down\n"+
		"SELECT 2;")
	require.NoError(t, err)
	require.Equal(t, []string{"expand", "slow", "v1.2:x"}, m.Tags)
	require.True(t, m.HasTag("nothing", "slow"))
	require.False(t, m.HasTag("nothing"))
	require.False(t, m.HasTag())
	require.Equal(t, []string{"expand", "slow", "v1.2:x"}, AllTags([]Migration{m, {}, m}))
}

func TestTagsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-- +migrate Tags\nSELECT 1;": "bad_annotation: 1_a.sql:1:17: Tags needs at least one word " +
			"after it",
		"-- +migrate Tags , ,\nSELECT 1;": "bad_annotation: 1_a.sql:1:21: Tags needs at least one word " +
			"after it",
		"-- +migrate Tags a b/c\nSELECT 1;": `bad_annotation: 1_a.sql:1:20: invalid tag "b/c": ` +
			`a tag is made of letters, digits and the marks _ . : -`,
		"-- +migrate Tags a\n-- +migrate Tags b a\nSELECT 1": "bad_annotation: 1_a.sql:2:20: tag a is given twice",
		"SELECT\n-- +migrate Tags a\n1;": "misplaced_annotation: 1_a.sql:2:1: Tags is in the " +
			"middle of a statement",
	} {
		_, err := Parse("1_a.sql", text)
		requireProblems(t, err, want)
	}
}

func TestTagsAreReadFromScriptsWithoutRunningThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"export const tags = ['slow', \"seed\"];\n":                        {"slow", "seed"},
		"module.exports = {};\nmodule.exports.tags = [\n  'a',\n  'b',\n]": {"a", "b"},
		"exports.tags=['a']":                               {"a"},
		"export let tags: readonly string[] = ['a']":       {"a"},
		"exports.tags = [];":                               nil,
		"const tags = ['not exported'];":                   nil,
		"  exports.tags = ['indented: inside a function']": nil,
	} {
		m, err := Parse("1_a.ts", text)
		require.NoError(t, err, text)
		require.Equal(t, want, m.Tags, text)
	}
}

func TestTagsOfScriptsThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"// é\nexports.tags = list();": "bad_annotation: 1_a.js:2:1: tags must be a list of plain strings, which can " +
			"be read without running the script",
		"exports.tags = ['a', name];": "bad_annotation: 1_a.js:1:1: tags must be a list of plain strings, which can " +
			"be read without running the script",
		"export const tags = ['a', 'b c'];": `bad_annotation: 1_a.js:1:27: invalid tag "b c": ` +
			`a tag is made of letters, digits and the marks _ . : -`,
	} {
		_, err := Parse("1_a.js", text)
		requireProblems(t, err, want)
	}
}
