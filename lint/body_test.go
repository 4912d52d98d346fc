package lint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

func TestABodyTellsWhatItRunsHowOftenAndHowSurely(t *testing.T) {
	t.Parallel()
	few, many := []lint.Loop{{Few: true}}, []lint.Loop{{}}
	for name, test := range map[string]struct {
		body string
		want lint.Body
	}{
		"statements in their order": {"PERFORM f(); IF a THEN DELETE FROM x; ELSE DELETE FROM y; END IF;",
			lint.Body{Statements: []lint.Inner{
				{Text: "SELECT f()"}, {Text: "DELETE FROM x", Conditional: true}, {Text: "DELETE FROM y", Conditional: true},
			}}},
		"a handler": {"BEGIN DELETE FROM x; EXCEPTION WHEN others THEN NULL; END;",
			lint.Body{Statements: []lint.Inner{{Text: "DELETE FROM x", Conditional: true}}}},
		"a loop without an end": {"LOOP DELETE FROM x; EXIT WHEN NOT FOUND; END LOOP;",
			lint.Body{Statements: []lint.Inner{{Text: "DELETE FROM x", Loops: many, Conditional: true}}}},
		"a loop that commits": {"LOOP DELETE FROM x; COMMIT; END LOOP;", lint.Body{Commits: true,
			Statements: []lint.Inner{{Text: "DELETE FROM x", Conditional: true}}}},
		"a loop with numbers": {"FOR n IN 1..9 LOOP DELETE FROM x; END LOOP;",
			lint.Body{Variables: []string{"n"}, Statements: []lint.Inner{{Text: "DELETE FROM x", Loops: few,
				Conditional: true}}}},
		"a loop with very many": {"FOR n IN 1..900000 LOOP DELETE FROM x; END LOOP;",
			lint.Body{Variables: []string{"n"}, Statements: []lint.Inner{{Text: "DELETE FROM x", Loops: many,
				Conditional: true}}}},
		"a text": {"EXECUTE 'DELETE FROM x';",
			lint.Body{Statements: []lint.Inner{{Text: "DELETE FROM x"}}}},
		"texts that are put together": {"EXECUTE 'DELETE ' || 'FROM ' || quote_ident('x');", lint.Body{Dynamic: true,
			Statements: []lint.Inner{{Text: "DELETE FROM anything", Guessed: true}}}},
		"format of constants": {"EXECUTE format('DELETE FROM %I WHERE a = %L AND b %% 2 = 0', 'X y', 'it''s');",
			lint.Body{Statements: []lint.Inner{{Text: `DELETE FROM "X y" WHERE a = 'it''s' AND b % 2 = 0`}}}},
		"format by position": {"EXECUTE format('DELETE FROM %2$I USING %1$s', 'a', 'b');",
			lint.Body{Statements: []lint.Inner{{Text: "DELETE FROM b USING a"}}}},
		"format with too few arguments": {"EXECUTE format('DELETE FROM %I USING %s', 'a');",
			lint.Body{Statements: []lint.Inner{{Text: "DELETE FROM a USING anything"}}}},
		"format of what is not known": {"EXECUTE format('DROP INDEX %s', a);", lint.Body{Dynamic: true,
			Statements: []lint.Inner{{Text: "DROP INDEX anything", Guessed: true}}}},
		"what cannot be guessed": {"EXECUTE replace('DELETE FROM x', 'x', 'y');", lint.Body{Dynamic: true}},
		"a text that is no SQL":  {"EXECUTE 'DELETE ' || 'FRM x';", lint.Body{Dynamic: true}},
		"an error whatever happens": {"DELETE FROM x; RAISE EXCEPTION 'no';", lint.Body{Raises: true,
			Statements: []lint.Inner{{Text: "DELETE FROM x"}}}},
		"an error under a condition":  {"IF a THEN RAISE EXCEPTION 'no'; END IF;", lint.Body{}},
		"an error that is caught":     {"BEGIN RAISE EXCEPTION 'no'; EXCEPTION WHEN others THEN NULL; END;", lint.Body{}},
		"a notice is no error":        {"RAISE NOTICE 'yes';", lint.Body{}},
		"an error behind the way out": {"RETURN; RAISE EXCEPTION 'no';", lint.Body{}},
		"rows of a query, one at a time": {"FOR r IN SELECT a FROM x LOOP DELETE FROM y; END LOOP;",
			lint.Body{Variables: []string{"r"}, Statements: []lint.Inner{{Text: "SELECT a FROM x"}, {Text: "DELETE FROM y",
				Loops: []lint.Loop{{Query: "SELECT a FROM x"}}, Conditional: true}}}},
		"elements of an array of a query": {"FOREACH n IN ARRAY ARRAY(SELECT a FROM x) LOOP DELETE FROM y; END LOOP;",
			lint.Body{Variables: []string{"n"}, Statements: []lint.Inner{{Text: "DELETE FROM y", Loops: many,
				Conditional: true}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			declare := ""
			for _, v := range test.want.Variables {
				declare += v + map[string]string{"n": " int;", "r": " record;"}[v]
			}
			body, err := lint.PostgreSQL().Body("DO $x$ DECLARE " + declare + " BEGIN " + test.body + " END $x$")
			require.NoError(t, err)
			require.Subset(t, body.Variables, test.want.Variables)
			body.Variables = test.want.Variables // without those that are always there
			body.Places = nil                    // another test looks at them
			for i := range body.Statements {
				body.Statements[i].Place = lint.Place{}
			}
			require.Equal(t, test.want, body)
		})
	}
}

func FuzzABodyIsReadOrRefusedWithoutAPanic(f *testing.F) {
	for _, seed := range []string{"PERFORM 1", "EXECUTE format('%1$I %', 'a')", "LOOP EXECUTE 'x' || a; END LOOP",
		"EXECUTE format('%9$s %*s %', 1)", "FOR r IN EXECUTE 'SELECT 1' LOOP COMMIT; END LOOP"} {
		f.Add(seed)
	}
	parser := lint.PostgreSQL()
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = parser.Body("DO $x$ BEGIN " + text + "; END $x$")
	})
}
