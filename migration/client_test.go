package migration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastLineOfAScriptSaysWhomItIsFor(t *testing.T) {
	t.Parallel()
	for text, tool := range map[string]string{
		"":                                      "",
		"exports.up = 1;\n":                     "",
		"// +migrate Client knex":               "knex",
		"let a;\n// +migrate Client knex\n\n":   "knex",
		"let a;\r\n// +migrate Client knex\r\n": "knex",
		"let a; // +migrate Client knex\n":      "",
		"// +migrate Client knex\nlet a;\n":     "",
		"// +migrate Client \n":                 "",
		"// +migrate Client two words\n":        "",
	} {
		require.Equal(t, tool, ClientOf(text), "%q", text)
		with := WithClient(text, "tern")
		require.Equal(t, "tern", ClientOf(with), "%q", text)
		require.Equal(t, with, WithClient(with, "tern"), "%q", text)
		require.Equal(t, text, with[:len(text)], "no line of it moves")
	}
}
