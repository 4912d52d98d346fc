package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheServersVersionIsUnderstood(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"15.8 (Debian 15.8-1.pgdg120+1)": 15, "13.23": 13, "19beta1": 19,
		"19devel": 19, "18": 18} {
		major, err := majorVersion(version)
		require.NoError(t, err)
		require.Equal(t, want, major, version)
	}
	for _, version := range []string{"", "devel", "99999999999999999999"} {
		_, err := majorVersion(version)
		require.Error(t, err, version)
	}
}

func TestACastOfAnArrayIsWrittenAsAnArrayOfCasts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`((ARRAY['a'::character varying, 'it''s, b'::character varying(9)])::text[])`: `(ARRAY[('a'::character varying)::text, ('it''s, b'::character varying(9))::text])`,
		`(ARRAY['a'::character varying])::text[]`:                                     `ARRAY[('a'::character varying)::text]`,
		`(ARRAY[a])::text[]`:         `(ARRAY[a])::text[]`,
		`(ARRAY['a'::text])::text[]`: `(ARRAY['a'::text])::text[]`,
	} {
		require.Equal(t, want, normal("definition", value))
		require.Equal(t, want, normal("definition", want))
		require.Equal(t, value, normal("body", value), "what people wrote stays")
	}
}

func TestLineEndsOfWhatPeopleWroteDoNotCount(t *testing.T) {
	t.Parallel()
	function := func(property, text string) Schema {
		return Schema{Objects: []Object{{Kind: "function", Name: "public.f()",
			Properties: map[string]string{property: normal(property, text)}}}}
	}
	for _, property := range []string{"body", "comment"} {
		lf := function(property, "BEGIN\n  RETURN 1;\nEND")
		for _, text := range []string{"BEGIN\r\n  RETURN 1;\r\nEND", "BEGIN\r\n  RETURN 1;\nEND", "BEGIN\r  RETURN 1;\rEND"} {
			require.Empty(t, Diff(lf, function(property, text)), "%q", text)
			require.Equal(t, lf.Fingerprint(), function(property, text).Fingerprint(), "%q", text)
			written, err := json.Marshal(Schema{Objects: []Object{{Kind: "function", Name: "public.f()",
				Properties: map[string]string{property: text}}}})
			require.NoError(t, err)
			var read Schema
			require.NoError(t, json.Unmarshal(written, &read))
			require.Empty(t, Diff(lf, read), "as an earlier version wrote it")
		}
		require.NotEmpty(t, Diff(lf, function(property, "BEGIN\n  RETURN 2;\nEND")))
	}
	require.NotEmpty(t, Diff(function("default", "E'a\n'"), function("default", "E'a\r\n'")),
		"a value is no text of people")
}

func TestADifferenceIsOneLineThatShowsWhereItIs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	for _, test := range []struct{ from, to, want string }{
		{"a", "", "a → none"},
		{"", "b", "none → b"},
		{"a\nb\nc", "a\nB\nc", "in line 2 b → B"},
		{"a\nb", "a", "in line 2 b → none"},
		{"", "a\n\x1b[2Jb", "none → a  [2Jb"},
		{long + "a", long + "b", "…" + long[:before] + "a → …" + long[:before] + "b"},
		{"a" + long, "b", "a" + long[:longest-2] + "… → b"},
		{long, "", long[:longest-1] + "… → none"},
	} {
		d := Difference{Change: Changed, Reference: Reference{Kind: "view", Name: "public.v"}, Property: "definition",
			From: test.from, To: test.to}
		require.Equal(t, "view public.v: definition "+test.want, d.String())
		require.NotContains(t, d.String(), "\n")
	}
	require.Equal(t, "default privileges on tables of a are missing", Difference{Change: Removed,
		Reference: Reference{Kind: "default privileges", Name: "on tables of a"}}.String())
	require.Equal(t, "privileges on function f() are again those it came with", Difference{Change: Removed,
		Reference: Reference{Kind: "privileges", Name: "on function f()"}}.String())
}
