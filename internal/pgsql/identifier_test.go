package pgsql

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentifierIsTheNameInTheCatalog(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 62)
	for token, want := range map[string]string{
		"users":               "users",
		"Users":               "users",
		"ÄRGER":               "Ärger", // the server folds the letters of ASCII only
		"a$B":                 "a$b",
		`"Users"`:             "Users",
		`"a""b"`:              `a"b`,
		`""""`:                `"`,
		`"a`:                  "a",
		`U&"d\0061t\+000061"`: "data",
		`u&"\\x"`:             `\x`,
		`U&"\D83D\DE00"`:      "😀",
		`U&"\D83D x"`:         "\uFFFD x",
		`U&"\zzzz"`:           `\zzzz`,
		`U&"\00"`:             `\00`,
		`U&"\+FFFFFF"`:        `\+FFFFFF`,
		`U&"a""b"`:            `a"b`,
		`U&"a`:                "a",
		long + "yz":           long + "y",
		long + "é":            long, // a character is not cut in two
		`"` + long + `é"`:     long,
		"":                    "",
		"'text'":              "'text'",
		"12":                  "12",
		"u":                   "u",
	} {
		require.Equal(t, want, Identifier(token), "%q", token)
	}
}
