package pgsql

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// isMark claims the comments that the tests use as marks.
func isMark(comment string) bool { return strings.HasPrefix(comment, "-- +") }

func TestCorpusIsCutAsBefore(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			statements, err := Split(string(text), Options{Mark: isMark})
			require.NoError(t, err)
			require.NoError(t, consistent(string(text), statements))
			golden := strings.TrimSuffix(file, ".sql") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(render(statements)), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), render(statements))
		})
	}
}

// render writes statements for a golden file.
func render(statements []Statement) string {
	var b strings.Builder
	for _, s := range statements {
		fmt.Fprintf(&b, "%s-%s %s: %q\n  %q\n", s.Start, s.End(), s.Class, s.Command, s.Text)
		if s.Data != nil {
			fmt.Fprintf(&b, "  data %q\n", *s.Data)
		}
	}
	return b.String()
}

func TestStatementsEndAtSemicolons(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                     {"", nil},
		"white space and comments":    {" \n-- a;\n/* b; */", nil},
		"empty statements":            {";; ;-- x\n;", nil},
		"no semicolon at the end":     {"a; b", []string{"a", "b"}},
		"white space around":          {" a ;\n b\n;\n", []string{"a", "b"}},
		"comments around are no part": {"/* x */ a /* y */; -- z\nb -- w", []string{"a", "b"}},
		"comments inside are":         {"a /* x; */ b -- y;\n c;", []string{"a /* x; */ b -- y;\n c"}},
		"quotes hide semicolons": {`a ';' ";" $$;$$ $x$;$x$ E'\';'; b`,
			[]string{`a ';' ";" $$;$$ $x$;$x$ E'\';'`, "b"}},
		"parentheses hide semicolons":       {"a (b; (c); d); e", []string{"a (b; (c); d)", "e"}},
		"brackets hide semicolons":          {"a [b; c]; d", []string{"a [b; c]", "d"}},
		"closing too much is no debt":       {"a )); b (c;); d", []string{"a ))", "b (c;)", "d"}},
		"closing too little takes the rest": {"a (b; c", []string{"a (b; c"}},
		"a byte-order mark is no statement": {"\uFEFFa; b", []string{"a", "b"}},
		"a byte-order mark alone":           {"\uFEFF", nil},
		"a begin outside functions is no body": {"begin; select 1; end; begin atomic; x", []string{"begin", "select 1",
			"end", "begin atomic", "x"}},
		"a function named begin": {"create function begin() returns int as ''; x",
			[]string{"create function begin() returns int as ''", "x"}},
		"a body": {"create function f() begin atomic a; b; end; x",
			[]string{"create function f() begin atomic a; b; end", "x"}},
		"an empty body": {"create procedure p() begin atomic end; x",
			[]string{"create procedure p() begin atomic end", "x"}},
		"a comment within BEGIN ATOMIC": {"create procedure p() begin /* ; */ atomic a; end; x",
			[]string{"create procedure p() begin /* ; */ atomic a; end", "x"}},
		"the body of a replaced function": {"create or replace function f() begin atomic a; end; x",
			[]string{"create or replace function f() begin atomic a; end", "x"}},
		"nested blocks": {"create function f() begin atomic begin begin atomic a; end; end; b; " +
			"end; x", []string{"create function f() begin atomic begin begin atomic a; end; end; b; end", "x"}},
		"CASE in a body": {"create function f() begin atomic select case a when 1 then case when b " +
			"then 2 end end; end; x", []string{"create function f() begin atomic select case a when 1 then case when b then 2 " +
			"end end; end", "x"}},
		"names like keywords in a body": {"create function f() begin atomic select begin, t.end, 1 end; select 1 " +
			"as end; end; x", []string{"create function f() begin atomic select begin, t.end, 1 end; select 1 as end; end",
			"x"}},
		"parentheses in a body": {"create function f() begin atomic (select 1); select (case when a then " +
			"1 end); end; x", []string{"create function f() begin atomic (select 1); select (case when a then 1 end); end",
			"x"}},
		"quoted END in a body": {`create function f() begin atomic "end"; 'end'; $$end$$; end; x`,
			[]string{`create function f() begin atomic "end"; 'end'; $$end$$; end`, "x"}},
		"an aggregate has no body": {"create aggregate f begin atomic; x",
			[]string{"create aggregate f begin atomic", "x"}},
		"a rule with several commands": {"create rule r as on insert to t do (a; b;); x",
			[]string{"create rule r as on insert to t do (a; b;)", "x"}},
		"a backslash in quotes": {`a '\' "\" /* \ */ $$\$$; b -- \i`, []string{`a '\' "\" /* \ */ $$\$$`,
			"b"}},
		"what the server refuses is not our job": {"$ } { \x01 1abc; b", []string{"$ } { \x01 1abc", "b"}},
	} {
		statements, err := Split(c.text, Options{})
		require.NoError(t, err, name)
		require.NoError(t, consistent(c.text, statements), name)
		var texts []string
		for _, s := range statements {
			texts = append(texts, s.Text)
		}
		require.Equal(t, c.want, texts, name)
	}
}

func TestCopyTakesItsData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, copy, data string }{
		"lines":             {"COPY t FROM stdin;\n1\n2\n\\.\nx", "COPY t FROM stdin", "1\n2\n"},
		"no lines":          {"COPY t FROM stdin;\n\\.\nx", "COPY t FROM stdin", ""},
		"Windows line ends": {"COPY t FROM stdin;\r\n1\r\n\\.\r\nx", "COPY t FROM stdin", "1\r\n"},
		"columns and options": {"copy s.t (a, b) from STDIN with (format csv);\n;'\n\\.\nx",
			"copy s.t (a, b) from STDIN with (format csv)", ";'\n"},
		"STDOUT for STDIN": {"COPY t FROM stdout;\n1\n\\.\nx", "COPY t FROM stdout", "1\n"},
		"a comment behind": {"COPY t FROM stdin; -- data:\n1\n\\.\nx", "COPY t FROM stdin", "1\n"},
		"blanks behind":    {"COPY t FROM stdin ; \t\n1\n\\.\nx", "COPY t FROM stdin", "1\n"},
		"comments within": {"COPY /* a */ t -- b\nFROM /* c; */ stdin;\n1\n\\.\nx",
			"COPY /* a */ t -- b\nFROM /* c; */ stdin", "1\n"},
		"a table named from": {"COPY s.from FROM stdin;\n1\n\\.\nx", "COPY s.from FROM stdin", "1\n"},
		"a quoted table":     {"COPY \"to\" FROM stdin;\n1\n\\.\nx", "COPY \"to\" FROM stdin", "1\n"},
		"columns named from and to": {"COPY t (\"from\", \"to\") FROM stdin;\n1\n\\.\nx",
			"COPY t (\"from\", \"to\") FROM stdin", "1\n"},
		"an end that is none": {"COPY t FROM stdin;\n\\. \n \\.\na\\.\n\\..\n\\.\\.\n\\.\nx", "COPY t FROM stdin",
			"\\. \n \\.\na\\.\n\\..\n\\.\\.\n"},
		"the line before a WHERE": {"COPY t FROM stdin WHERE (a = 1);\n1\n\\.\nx", "COPY t FROM stdin WHERE (a = 1)",
			"1\n"},
	} {
		statements, err := Split(c.text, Options{})
		require.NoError(t, err, name)
		require.NoError(t, consistent(c.text, statements), name)
		require.Len(t, statements, 2, name)
		require.Equal(t, c.copy, statements[0].Text, name)
		require.Equal(t, &c.data, statements[0].Data, name)
		require.Equal(t, "x", statements[1].Text, name)
	}
}

func TestDataMayEndTheText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"COPY t FROM stdin;\n1\n\\.", "COPY t FROM stdin;\n1\n\\.\r",
		"COPY t FROM stdin;\n1\n\\.\n"} {
		statements, err := Split(text, Options{})
		require.NoError(t, err)
		require.Len(t, statements, 1)
		require.Equal(t, "1\n", *statements[0].Data)
	}
}

func TestOtherCopiesHaveNoData(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"COPY t FROM '/file'",
		"COPY t FROM PROGRAM 'stdin'",
		"COPY t FROM '/file' WHERE a IS DISTINCT FROM stdin",
		"COPY t TO stdout",
		"COPY t TO stdin",
		"COPY (SELECT a FROM stdin) TO stdout",
		`COPY t FROM "stdin"`,
		"SELECT copy FROM stdin",
	} {
		statements, err := Split(text+";\nSELECT 1", Options{})
		require.NoError(t, err, text)
		require.Len(t, statements, 2, text)
		require.Nil(t, statements[0].Data, text)
	}
}

func TestMarksDivideTheText(t *testing.T) {
	t.Parallel()
	var asked []string
	statements, err := Split("-- +1\na\n\t-- +2\nb -- +3\n;/**/ -- +4\n-- 5\n'\n-- +6'; (c\r-- +7\rd",
		Options{Mark: func(comment string) bool {
			asked = append(asked, comment)
			return isMark(comment)
		}})
	require.NoError(t, err)
	require.Equal(t, []string{"-- +1", "-- +2", "-- 5", "-- +7"}, asked)
	var texts []string
	for _, s := range statements {
		texts = append(texts, fmt.Sprintf("%s %s", s.Class, s.Text))
	}
	require.Equal(t, []string{"mark -- +1", "other a", "mark -- +2", "other b", "other '\n-- +6'", "query (c",
		"mark -- +7", "other d"}, texts)
	require.Empty(t, statements[0].Command)
	require.Equal(t, Position{Offset: 9, Line: 3, Column: 2}, statements[2].Start)
	require.Equal(t, Position{Offset: 14, Line: 3, Column: 7}, statements[2].End())
}

func TestBrokenTextIsRefusedWhereItBreaks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, remedy string }{
		"a string":                    {"a;\n b 'c; d", "2:4: a string is never closed", "single quote"},
		"a string with a prefix":      {`a E'c\'`, "1:3: a string is never closed", "single quote"},
		"the second part of a string": {"a 'b'\n 'c", "2:2: a string is never closed", "single quote"},
		"an identifier":               {"ä \"b; c", "1:3: a quoted identifier is never closed", "double quote"},
		"a dollar quote": {"a $b$ $$ $B$", "1:3: the dollar-quoted string $b$ is never closed",
			"close it with $b$"},
		"a dollar quote without a tag": {"a $$ $b$", "1:3: the dollar-quoted string $$ is never closed", "close it with $$"},
		"a comment":                    {"a\n/* /* */ b", "2:1: a comment is never closed", "nest"},
		"a comment that hides its end": {"/* a /* b */;", "1:1: a comment is never closed", "nest"},
		"a body": {"create function f()\n begin atomic a; b", "2:2: BEGIN ATOMIC has no END",
			"semicolon"},
		"a body without last semicolon": {"create function f() begin atomic select 1 end; x",
			"1:21: BEGIN ATOMIC has no END", "semicolon"},
		"a body that a mark ends": {"create function f() begin atomic\n-- +migrate Down\nx",
			"1:21: BEGIN ATOMIC has no END", "semicolon"},
		"data": {"a;\nCOPY t FROM stdin;\n1\n\\. \n",
			`2:1: COPY … FROM stdin without data that end with a line "\."`, "line of its own"},
		"data missing": {"COPY t FROM stdin",
			`1:1: COPY … FROM stdin without data that end with a line "\."`, "line of its own"},
		"data missing at a line's end": {"COPY t FROM stdin; --\\.",
			`1:1: COPY … FROM stdin without data that end with a line "\."`, "line of its own"},
		"data missing at a mark": {"COPY t FROM stdin\n-- +x;\n\\.\n",
			`1:1: COPY … FROM stdin without data that end with a line "\."`, "line of its own"},
		"text before the data": {"COPY t FROM stdin; b\n\\.\n", "1:20: text between COPY … FROM stdin and its data",
			"line behind"},
		"a comment before the data": {"COPY t FROM stdin; /* b\n\\.\n",
			"1:20: text between COPY … FROM stdin and its data", "line behind"},
		"text behind a carriage return": {"COPY t FROM stdin; -- a\rb\n\\.\n",
			"1:25: text between COPY … FROM stdin and its data", "line behind"},
		"psql's include":               {"a;\n\\i other.sql\n", `2:1: psql command \i`, "a migration of its own"},
		"psql's relative include":      {`\ir 'x'`, `1:1: psql command \ir`, "a migration of its own"},
		"psql's copy":                  {`\copy t from 'x'`, `1:1: psql command \copy`, "COPY … FROM stdin"},
		"psql's describe":              {`a; \d+ t`, `1:4: psql command \d+`, "not SQL"},
		"psql's conditions":            {"\\if :x", `1:1: psql command \if`, "not SQL"},
		"psql's shell":                 {`\! ls`, `1:1: psql command \!`, "not SQL"},
		"a fence within a statement":   {"select\n\\restrict aBc\n", `2:1: psql command \restrict`, "not SQL"},
		"a fence behind a statement":   {"a; \\restrict aBc\n", `1:4: psql command \restrict`, "not SQL"},
		"psql's words and a statement": {"\\echo a \\\\ select 1;\n", `1:1: psql command \echo`, "not SQL"},
		"psql's words from a program":  {"\\echo `date`\n", `1:1: psql command \echo`, "not SQL"},
		"psql goes on at an error":     {"\\set ON_ERROR_STOP off\n", `1:1: psql command \set`, "not SQL"},
		"psql may stop at an error":    {"\\unset ON_ERROR_STOP\n", `1:1: psql command \unset`, "not SQL"},
		"a variable of psql":           {"\\set owner 'me'\n", `1:1: psql command \set`, "not SQL"},
		"another encoding":             {"\\encoding latin1\n", `1:1: psql command \encoding`, "not SQL"},
		"another database":             {"\\connect other\n", `1:1: psql command \connect`, "not SQL"},
		"the end of psql":              {"\\q\nselect 1;", `1:1: psql command \q`, "not SQL"},
		"a backslash":                  {`a \ b`, "1:3: a backslash outside quotes", "take it out"},
		"a backslash before a letter":  {`a \ü`, `1:3: psql command \ü`, "take it out"},
		"a backslash at the end":       {`a \`, "1:3: a backslash outside quotes", "take it out"},
		"an end of data without data": {"a;\n\\.\n", `2:1: the end of data "\." without a COPY … FROM stdin before it`,
			"in front of the data"},
		"an empty name":            {`a ""`, "1:3: a quoted identifier is empty", "a name"},
		"an empty name in Unicode": {`a u&""`, "1:3: a quoted identifier is empty", "a name"},
		"a NUL":                    {"a\n'b\x00'", "2:3: a NUL byte", "UTF-8"},
		"a byte that is no UTF-8":  {"é\n\uFFFD\xe9 \x00", "2:2: the byte 0xe9 is not valid UTF-8 here", "UTF-8"},
		"half a character":         {"a\xe2\x82", "1:2: the byte 0xe2 is not valid UTF-8 here", "UTF-8"},
	} {
		statements, err := Split(c.text, Options{Mark: isMark})
		require.Nil(t, statements, name)
		require.EqualError(t, err, c.want, name)
		var broken *Error
		require.ErrorAs(t, err, &broken, name)
		require.Contains(t, broken.Remedy, c.remedy, name)
		require.Equal(t, PositionAt(c.text, broken.Position.Offset), broken.Position, name)
	}
}

func TestCommandsOfPsqlThatChangeNothingArePassedOver(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`\restrict aBc`, `\unrestrict aBc`, `\set ON_ERROR_STOP on`, `\set ON_ERROR_STOP 1`, `\set ON_ERROR_STOP`,
		`\set QUIET on`,
		`\unset ECHO`, `\echo '==> it''s done'`, `\echo it's "half`, `\echo`, `\qecho a; b /* c`, `\warn $$`, `\timing`,
		`\timing on`,
		`\pset pager off`, `\x`, `\encoding UTF8`, `\encoding 'utf-8'`, "  \\echo a", "\t\\timing off\r",
	} {
		statements, err := Split("select 1;\n"+line+"\n-- a\nselect 2;", Options{Mark: isMark})
		require.NoError(t, err, line)
		require.Len(t, statements, 2, line)
		require.Equal(t, "select 2", statements[1].Text, line)
		require.Equal(t, Position{Line: 4, Column: 1, Offset: strings.Index("select 1;\n"+line+"\n-- a\nselect 2;",
			"select 2")}, statements[1].Start)
		statements, err = Split(line, Options{})
		require.NoError(t, err, line)
		require.Empty(t, statements, line)
	}
	statements, err := Split("COPY t FROM stdin;\n\\echo a\n\\.\n\\echo b\nselect 1", Options{})
	require.NoError(t, err)
	require.Len(t, statements, 2)
	require.Equal(t, "\\echo a\n", *statements[0].Data, "data are data")
}

// consistent checks what Split promises of every result.
func consistent(text string, statements []Statement) error {
	end := 0
	for i, s := range statements {
		switch {
		case s.Start.Offset < end || s.Text == "" || s.End().Offset > len(text):
			return fmt.Errorf("statement %d lies at %v to %v, the one before ends at %d", i, s.Start, s.End(), end)
		case s.Text != text[s.Start.Offset:s.End().Offset]:
			return fmt.Errorf("statement %d is not the text at its place", i)
		case s.Start != PositionAt(text, s.Start.Offset) || s.End() != PositionAt(text, s.End().Offset):
			return fmt.Errorf("statement %d has other positions than PositionAt gives", i)
		}
		gap := scanner{text: text[:s.Start.Offset], offset: end}
		for token, ok := gap.next(); ok; token, ok = gap.next() {
			if !token.isSpace() && token.Text != ";" {
				return fmt.Errorf("%q before statement %d is lost", token.Text, i)
			}
		}
		end = s.End().Offset
		if s.Data != nil {
			data := strings.Index(text[end:], "\n"+*s.Data+endOfData)
			if data < 0 {
				return fmt.Errorf("the data of statement %d are not in the text", i)
			}
			end += data + 1 + len(*s.Data) + len(endOfData)
		}
	}
	return nil
}

// join writes statements as a text again.
func join(statements []Statement) string {
	var b strings.Builder
	b.WriteString("\n") // so that no byte-order mark comes to stand first
	for i, s := range statements {
		b.WriteString(s.Text)
		if s.Data != nil || i < len(statements)-1 {
			b.WriteString(";\n")
		}
		if s.Data != nil {
			b.WriteString(*s.Data + endOfData + "\n")
		}
	}
	return b.String()
}

func FuzzSplit(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, marks bool) {
		options := Options{}
		if marks {
			options.Mark = isMark
		}
		statements, err := Split(text, options)
		if err != nil {
			broken, ok := err.(*Error) //nolint:errorlint // it must be this very value, not wrapped
			if !ok || statements != nil || broken.Message == "" || broken.Remedy == "" {
				t.Fatalf("%d statements with the error %#v", len(statements), err)
			}
			if broken.Position != PositionAt(text, broken.Position.Offset) {
				t.Fatalf("the error is at %v", broken.Position)
			}
			return
		}
		if err := consistent(text, statements); err != nil {
			t.Fatal(err)
		}
		if marks {
			return
		}
		again, err := Split(join(statements), options)
		if err != nil {
			t.Fatalf("joined: %v", err)
		}
		if len(again) != len(statements) {
			t.Fatalf("%d statements, joined and cut again %d", len(statements), len(again))
		}
		for i, s := range again {
			s.Start = statements[i].Start
			require.Equal(t, statements[i], s, "statement %d, joined and cut again", i)
		}
	})
}

// seeds gives fuzzing its start: the corpus, and what is tricky in few bytes.
func seeds() []string {
	texts := []string{
		"", ";", "'a'\n'b", `E'\'`, "$$", "$a$$a$", "$1$a$", "/* /* */", "a@-/**/+b", "-- +x\n;", "a\n-- +x\nb",
		"create function f() begin atomic begin a; end; end;", "COPY t FROM stdin;\n\\.\n", "copy t from stdin; -- a\rb\n\\.",
		"set standard_conforming_strings=off;select '\\';'",
		"select set_config('standard_conforming_strings','off',true);'\\''",
		"reindex (concurrently) table t", "with a as (delete from b) select 1 into c",
		"alter subscription s set publication p with(refresh=0)",
		"\uFEFFa\uFEFF;\uFEFFb", `U&"\D83D\DE00"`, `U&'\' u&""`, "B'0''1'", "1..2.3e+4_5", "\\copy", "(;[;)]", "a\x00",
		"a\xff",
	}
	files, _ := filepath.Glob("testdata/*.sql")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			texts = append(texts, string(text))
		}
	}
	return texts
}
