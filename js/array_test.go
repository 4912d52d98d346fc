package js

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func text(s string) element            { return element{text: s} }
func list(elements ...element) element { return element{elements: append([]element{}, elements...)} }

func TestArraysAreReadAsPostgreSQLWritesThem(t *testing.T) {
	t.Parallel()
	for literal, want := range map[string]element{
		`{}`:                     list(),
		`{1,2}`:                  list(text("1"), text("2")),
		`{NULL,"NULL",null}`:     list(element{null: true}, text("NULL"), text("null")),
		`{"","a,b","{x}"," s "}`: list(text(""), text("a,b"), text("{x}"), text(" s ")),
		`{"q\"q","b\\s"}`:        list(text(`q"q`), text(`b\s`)),
		`{{1,NULL},{3,"4 5"}}`:   list(list(text("1"), element{null: true}), list(text("3"), text("4 5"))),
		`[0:1]={1,2}`:            list(text("1"), text("2")),
		`[-1:-1][2:3]={{1,2}}`:   list(list(text("1"), text("2"))),
		`{a b,-1.5e10,é🐦}`:       list(text("a b"), text("-1.5e10"), text("é🐦")),
	} {
		got, err := parseArray(literal)
		require.NoError(t, err, literal)
		require.Equal(t, want, got, literal)
	}
}

func TestWhatIsNoArrayIsRefused(t *testing.T) {
	t.Parallel()
	for _, literal := range []string{
		"", "x", "{", "}", "{,}", "{1,}", "{,1}", "{1}2", "{1}}", "{{1}", `{"`, `{"a`, `{"a"`, `{"a\`, `{"a"b}`, `{a"b"}`,
		`{a{b}}`, `{\}`, "[", "[1:2]", "[1:2]{1}",
		"{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}",
	} {
		_, err := parseArray(literal)
		require.ErrorIs(t, err, errArray, "%q", literal)
	}
}

func FuzzParseArray(f *testing.F) {
	for _, seed := range []string{`{}`, `{1,NULL,"NULL"}`, `{{"a\"b","c\\"},{"",x}}`, `[0:1]={1,2}`, `{`, `{"`, `{"\`,
		`{a"}`, `[=`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		array, err := parseArray(literal)
		if err != nil {
			return
		}
		again, err := parseArray(array.literal())
		require.NoError(t, err, "%q is written as %q", literal, array.literal())
		require.Equal(t, array, again)
	})
}
