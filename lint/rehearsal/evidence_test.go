package rehearsal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

// noRows makes every table refuse rows, in a way that the judge of texts cannot read.
const noRows = `DO $$ DECLARE t text; BEGIN
	FOR t IN SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace LOOP
		EXECUTE 'ALTER TABLE ' || t || ' ADD CONSTRAINT no_rows CHECK (false)';
	END LOOP;
END $$;`

// findings gives hazard and message of what was found.
func findings(r lint.Report) []string {
	var all []string
	for _, f := range r.Findings() {
		all = append(all, f.Hazard.String()+": "+f.Message)
	}
	return all
}

// The property over all hazards: on tables without rows nothing is taken back that the
// text says. That rows take it back where they should, other tests show.
func TestOnEmptyTablesEveryFindingOfTheTextIsKept(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		if h.Since > server.Version().Major || h.Until > 0 && h.Until < server.Version().Major {
			continue
		}
		t.Run(h.ID.String(), func(t *testing.T) {
			t.Parallel()
			before := append(history(h), noRows)
			result := run(t, on(h), before, []string{h.Bad})
			linter, err := lint.New(lint.Options{Severities: on(h), Major: server.Version().Major, Judge: last(before)})
			require.NoError(t, err)
			read, err := linter.Check(parse(t, append(before, h.Bad)...))
			require.NoError(t, err)
			require.Subset(t, findings(result.Report), findings(read))
			if read.Files[0].Verdict() != lint.Safe {
				require.NotEqual(t, lint.Safe, result.Report.Files[0].Verdict())
			}
		})
	}
}

// A statement is judged by what it did, on rows that were there at that moment.
func TestWhatWasNotSeenToRunOnRowsTakesNothingBack(t *testing.T) {
	t.Parallel()
	const loop = "DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relname " +
		"LIKE '%s' LOOP\n EXECUTE format('ALTER TABLE %%I ADD COLUMN x text', t);\nEND LOOP; END $$;"
	strict := "CREATE TABLE strict (id int PRIMARY KEY, kind text NOT NULL CHECK (kind ~ '^[a-f]{3}-[0-9]{4}$'), at date);"
	volatile := "CREATE FUNCTION today() RETURNS date LANGUAGE sql VOLATILE AS 'SELECT current_date';"
	trigger := func(condition string) string {
		return "CREATE FUNCTION reacts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF " + condition +
			" THEN EXECUTE 'COMMENT ON TABLE orders IS ' || quote_literal(now()); END IF; RETURN NEW; END $$;\n" +
			"CREATE TRIGGER reacts BEFORE INSERT OR UPDATE OF age ON users FOR EACH ROW EXECUTE FUNCTION reacts();"
	}
	drops := "CREATE FUNCTION drops() RETURNS void LANGUAGE plpgsql AS $$ DECLARE t text; BEGIN FOR t IN SELECT relname " +
		"FROM pg_class WHERE relname LIKE 'tenant%' LOOP EXECUTE 'DROP TABLE ' || t; END LOOP; END $$;"
	for name, test := range map[string]struct {
		history []string
		judged  string
		verdict lint.Verdict // of the last statement
		says    string       // in what is found of it, or its evidence
	}{
		"a loop that finds a table with rows": {nil, fmt.Sprintf(loop, "users"), lint.Safe, ""},
		"a loop that finds nothing": {nil, fmt.Sprintf(loop, "tenant%"), lint.Unknown,
			"line 2 of the block did not run"},
		"a loop that finds an empty table": {[]string{strict}, fmt.Sprintf(loop, "strict"), lint.Unknown,
			"strict stayed empty (no row could be made up: "},
		"the same behind a TRUNCATE": {nil, "TRUNCATE orders;\n" + fmt.Sprintf(loop, "orders"), lint.Unknown,
			"orders stayed empty (a statement before had left none)"},
		"a branch that is taken": {nil, "DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE relname = " +
			"'users') THEN EXECUTE 'COMMENT ON TABLE ' || 'users' || current_user || $x$ IS 'a'$x$; END IF; EXCEPTION WHEN " +
			"others THEN NULL; END $$;", lint.Unknown, "a handler may have taken back"},
		"a branch that is not taken": {nil, "DO $$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE relname = " +
			"'tenants') THEN ALTER TABLE users ALTER COLUMN age TYPE bigint; END IF; END $$;", lint.Dangerous,
			"line 1 of the block did not run"},
		"one branch of two on one line": {nil, "DO $$ DECLARE a text := 'SELECT 1'; b text := 'SELECT 2'; BEGIN " +
			"IF now() > '2000-01-01' THEN EXECUTE a; ELSE EXECUTE b; END IF; END $$;", lint.Unknown, "did not run"},
		"a function that is called": {[]string{"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ " +
			"BEGIN EXECUTE 'COMMENT ON TABLE users IS ' || quote_literal(now()); END $$;"}, "SELECT f();", lint.Safe, ""},
		"a function that is called for no row": {[]string{"CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS " +
			"$$ BEGIN EXECUTE 'DROP TABLE ' || t; END $$;"}, "SELECT f(relname) FROM pg_class WHERE relname LIKE 'tenant%';",
			lint.Dangerous, "line 1 of f() did not run"},
		"a loop in a function that a block calls": {[]string{drops}, "DO $$ BEGIN PERFORM drops(); END $$;", lint.Unknown,
			"line 1 of drops() did not run"},
		"one that is called by one that is called": {[]string{drops, "CREATE FUNCTION through() RETURNS void LANGUAGE sql " +
			"AS 'SELECT drops()';"}, "DO $$ BEGIN PERFORM through(); END $$;", lint.Unknown, "line 1 of drops() did not run"},
		"a function that is nothing but a call": {[]string{drops, "CREATE FUNCTION through() RETURNS void LANGUAGE sql " +
			"AS 'SELECT drops()';"}, "SELECT through();", lint.Dangerous, "line 1 of drops() did not run"},
		"a function in a block that does it all": {[]string{"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ " +
			"BEGIN EXECUTE 'COMMENT ON TABLE users IS ' || quote_literal(now()); END $$;"}, "DO $$ BEGIN PERFORM f(); END $$;",
			lint.Safe, ""},
		"a trigger's branch that is not taken": {[]string{trigger("NEW.age > 1000000")},
			"UPDATE users SET age = 1 WHERE id = 3;", lint.Unknown, "line 1 of reacts() did not run"},
		"the same behind an INSERT": {[]string{trigger("NEW.age > 1000000")},
			"INSERT INTO users (id, age, email) VALUES (-7, 3, 'x');", lint.Unknown, "line 1 of reacts() did not run"},
		"the same in a MERGE": {[]string{trigger("NEW.age > 1000000")},
			"MERGE INTO users u USING (VALUES (3)) AS v (id) ON u.id = v.id WHEN MATCHED THEN UPDATE SET age = 1;",
			lint.Unknown, "line 1 of reacts() did not run"},
		"a trigger that drops a table once": {[]string{strings.Replace(trigger("NEW.age > 1000000"),
			"'COMMENT ON TABLE orders IS ' || quote_literal(now())", "'DROP TABLE orders'", 1)},
			"UPDATE users SET age = 1 WHERE id = 3;", lint.Unknown, "line 1 of reacts() did not run"},
		"a trigger's branch that is taken": {[]string{trigger("true")},
			"UPDATE users SET age = 1 WHERE id = (SELECT min(id) FROM users);", lint.Safe, ""},
		"a trigger of other columns": {[]string{trigger("false")}, "UPDATE users SET id = id WHERE id = 3;",
			lint.Safe, ""},
		"a table that only production may have": {nil, "DROP TABLE IF EXISTS old_imports;", lint.Unknown,
			"lint --pending tells"},
		"a default that is not known, on rows": {[]string{volatile},
			"ALTER TABLE users ADD COLUMN at date DEFAULT other();", lint.Dangerous, "does not exist"},
		"a batch without rows": {[]string{strict},
			"-- +migrate Batch strict by id\nUPDATE strict SET at = current_date WHERE id > :from AND id <= :to;", lint.Unknown,
			"had no rows for a batch"},
		"a partition that got no rows": {nil,
			"TRUNCATE events_2025;\nDO $$ BEGIN EXECUTE replace('ALTER TABLE x ADD CHECK (id > 0)', 'x', 'events'); END $$;",
			lint.Unknown, "events_2025 stayed empty"},
		"a statement that does what the text says": {nil, "ALTER TABLE users ADD COLUMN note text;", lint.Safe, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := run(t, nil, append([]string{lint.ExampleSchema}, test.history...), []string{test.judged})
			statements := result.Report.Files[0].Statements
			j := statements[len(statements)-1]
			require.Equal(t, test.verdict, j.Verdict, "%+v", j)
			text, err := j.MarshalJSON()
			require.NoError(t, err)
			require.Contains(t, string(text), test.says)
		})
	}
}

// What a server refuses is a mistake, unless only the server of the rehearsal would.
func TestARefusalIsToldFromWhatIsMissingHere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history []string
		judged  string
		verdict []lint.Verdict // of the statements
		says    string
		stopped bool
	}{
		"a table that nobody made": {nil, "ALTER TABLE users ADD COLUMN a int;\n" +
			"INSERT INTO nowhere VALUES (1);\nALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Safe, lint.Dangerous,
			lint.Unknown}, "not rehearsed: the rehearsal ended early, at migrations/002_example.sql", true},
		"an error whatever the rows": {nil, "SELECT 1/0;", []lint.Verdict{lint.Dangerous}, "division by zero",
			true},
		"a table of a schema from elsewhere": {nil, "ALTER TABLE auth.people ADD COLUMN a int;\n" +
			"ALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Unknown, lint.Safe}, "the migrations do not make it",
			false},
		"a function of a schema from elsewhere": {nil, "SELECT auth.sync('a', 1);", []lint.Verdict{lint.Unknown},
			"the migrations do not make it", false},
		"a role from elsewhere": {nil, "GRANT SELECT ON users TO rehearsal_reader;\n" +
			"ALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Safe, lint.Safe}, "", false},
		"an extension": {nil, "CREATE EXTENSION rehearsal_nothing;\n" +
			"ALTER TABLE users ADD COLUMN b rehearsal_type;\nALTER TABLE users ADD COLUMN c int;", []lint.Verdict{lint.Unknown,
			lint.Unknown, lint.Safe}, "does not have the extension", false},
		"a mistake behind an extension": {nil, "CREATE EXTENSION rehearsal_nothing;\n" +
			"ALTER TABLE users DROP COLUMN nothing;", []lint.Verdict{lint.Unknown, lint.Dangerous}, "nothing", true},
		"a foreign server": {nil, "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere;",
			[]lint.Verdict{lint.Unknown}, "the migrations do not make it", false},
		"a timeout": {nil, "SET LOCAL statement_timeout = '1s';\nSELECT pg_sleep(60);\n" +
			"ALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Safe, lint.Unknown, lint.Unknown}, "did not suffice",
			true},
		"the server goes away": {nil, "ALTER TABLE users ADD COLUMN a int;\n" +
			"SELECT pg_terminate_backend(pg_backend_pid());\nALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Safe,
			lint.Dangerous, lint.Unknown}, "the connection of the rehearsal was ended", true},
		"rows that history needs": {[]string{"CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds " +
			"VALUES (7);\nCREATE TABLE things (id int PRIMARY KEY, kind int REFERENCES kinds);"},
			"INSERT INTO things VALUES (1, 7);", []lint.Verdict{lint.Safe}, "", false},
		"a unique index on duplicates": {nil, "CREATE UNIQUE INDEX CONCURRENTLY users_two ON users ((id % 2));\n" +
			"ALTER TABLE users ADD COLUMN b int;", []lint.Verdict{lint.Safe, lint.Safe}, "", false},
		"the same, if it is not there": {nil, "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_two ON users " +
			"((id % 2));\nALTER TABLE users ADD CONSTRAINT users_two UNIQUE USING INDEX users_two;",
			[]lint.Verdict{lint.Dangerous, lint.Dangerous}, "expression", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := run(t, nil, append([]string{lint.ExampleSchema}, test.history...), []string{test.judged})
			var verdicts []lint.Verdict
			var said strings.Builder
			for _, j := range result.Report.Files[0].Statements {
				verdicts = append(verdicts, j.Verdict)
				text, err := j.MarshalJSON()
				require.NoError(t, err)
				said.Write(text)
			}
			require.Equal(t, test.verdict, verdicts, said.String())
			require.Contains(t, said.String(), test.says)
			require.Equal(t, test.stopped, result.Stopped != "", result.Stopped)
			require.Equal(t, result.Stopped, result.Report.Stopped)
		})
	}
}

// A migration behind one that failed was not rehearsed, whatever its text says.
func TestNothingIsSafeBehindTheEndOfARehearsal(t *testing.T) {
	t.Parallel()
	result := run(t, nil, []string{lint.ExampleSchema}, []string{"ALTER TABLE users DROP COLUMN nothing;",
		"ALTER TABLE users ADD COLUMN a int;\nCREATE TABLE b (id int);"})
	require.Contains(t, result.Stopped, "the rehearsal ended early, at migrations/002_example.sql")
	require.Len(t, result.Report.Files, 2)
	for _, j := range result.Report.Files[1].Statements {
		require.Equal(t, lint.Unknown, j.Verdict)
		require.Equal(t, "not-rehearsed", j.Findings[0].Hazard.String())
		require.Contains(t, j.Findings[0].Message, "not rehearsed: the rehearsal ended early")
	}
	sarif, err := result.Report.SARIF("1")
	require.NoError(t, err)
	require.Contains(t, string(sarif), `"executionSuccessful": false`)
	for format, text := range map[string]string{"text": result.Report.Text(lint.Style{}, false), "sarif": string(sarif),
		"github": result.Report.GitHub()} {
		require.Contains(t, text, "ended early", format)
	}
}
