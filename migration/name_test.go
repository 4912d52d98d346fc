package migration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseNameReadsVersionNameAndKind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file    string
		version Version
		name    string
		kind    Kind
	}{
		{"20240115120000_add_users.sql", "20240115120000", "add_users", SQL},
		{"0001-init.sql", "0001", "init", SQL},
		{"1_a.SQL", "1", "a", SQL},
		{"1_a.b.sql", "1", "a.b", SQL},
		{"1__a.sql", "1", "_a", SQL},
		{"9999999999999999999_most.sql", "9999999999999999999", "most", SQL},
		{"2_größe ändern.sql", "2", "größe ändern", SQL},
		{"1.2.10__add_users.sql", "1.2.10", "_add_users", SQL},
		{"3_copy.js", "3", "copy", Script},
		{"3_copy.Mjs", "3", "copy", Script},
		{"3_copy.cjs", "3", "copy", Script},
		{"3_copy.ts", "3", "copy", Script},
		{"3_ts.up.js", "3", "ts.up", Script},
	} {
		version, name, kind, err := ParseName(test.file)
		require.NoError(t, err, test.file)
		require.Equal(t, test.version, version, test.file)
		require.Equal(t, test.name, name, test.file)
		require.Equal(t, test.kind, kind, test.file)
	}
}

func TestParseNameRefusesWhatIsNoName(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct{ message, remedy string }{
		"":              {"its extension must be", "20240115120000_add_users.sql"},
		"1_a":           {"its extension must be", "20240115120000_a.sql"},
		"1_a.txt":       {"its extension must be", "20240115120000_a.sql"},
		"1_a.d.ts":      {"its extension must be", "20240115120000_a_d.sql"},
		".sql":          {"must begin with a version number", "20240115120000_add_users.sql"},
		"Add Users.sql": {"must begin with a version number", "20240115120000_add_users.sql"},
		"V1__add.sql":   {"must begin with a version number", "20240115120000_v1_add.sql"},
		"٣_a.sql":       {"must begin with a version number", "20240115120000_a.sql"},
		"20240115.sql":  {"the name is missing", "20240115120000_add_users.sql"},
		"20240115_.sql": {"the name is missing", "20240115120000_add_users.sql"},
		"20240115_ .js": {"the name is missing", "20240115120000_add_users.js"},
		"1.add.sql":     {`there must be "_"`, "20240115120000_add.sql"},
		"1.2.add.sql":   {`there must be "_"`, "20240115120000_2_add.sql"},
		"1.12345678901234567890123456789012345678901234567890_a.sql": {"version number too large", "20240115120000_12"},
		"1 add.sql":                   {`there must be "_"`, "20240115120000_add.sql"},
		"12345678901234567890_a.sql":  {"version number too large: it has 20 digits", "20240115120000_a.sql"},
		"1_a\x00.sql":                 {"cannot be printed", "20240115120000_a.sql"},
		"1_a\n.sql":                   {"cannot be printed", "20240115120000_a.sql"},
		"1_a\xff.sql":                 {"cannot be printed", "20240115120000_a.sql"},
		"000001_add_users.up.sql":     {"golang-migrate", "000001_add_users.sql"},
		"000001_add_users.Down.sql":   {"golang-migrate", "000001_add_users.sql"},
		"00000000000000000000000.sql": {"version number too large", "20240115120000_add_users.sql"},
	} {
		_, _, _, err := ParseName(file)
		problems := Problems(err)
		require.Len(t, problems, 1, file)
		require.Equal(t, CodeBadName, problems[0].Code, file)
		require.Equal(t, file, problems[0].Path)
		require.Contains(t, problems[0].Message, want.message, file)
		require.Contains(t, problems[0].Remedy, want.remedy, file)
	}
}
