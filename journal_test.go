package whimbrel_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// table5 is what several of the chains below make.
const table5 = "CREATE TABLE a5 (i int);\nINSERT INTO a5 VALUES (5);\n"

// filling5 is a backfill that cannot do row 1500 before it is corrected.
const filling5 = `CREATE TABLE a5 (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO a5 (id) SELECT g FROM generate_series(1, 2000) g;
-- +migrate Batch a5 by id size=100 workers=WORKERS
UPDATE a5 SET n = n + 1 + 0 * (1 / (id - 1500)) WHERE id > :from AND id <= :to;
`

// script5 is the same as a script.
const script5 = `exports.transaction = false;
exports.up = async (client) => {
  await client.query('CREATE TABLE IF NOT EXISTS a5 (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)');
  await client.query('INSERT INTO a5 (id) SELECT g FROM generate_series(1, 2000) g ON CONFLICT DO NOTHING');
  await client.batch({ table: 'a5', key: 'id', size: 100 }, async (range, client) =>
    client.query('UPDATE a5 SET n = n + 1 + 0 * (1 / (id - 1500)) WHERE id > $1 AND id <= $2', [range.from, range.to]));
};
exports.down = async (client) => { await client.query('DROP TABLE a5'); };
`

// halfDone are migrations that stop half-way up.
var halfDone = map[string]struct{ file, broken string }{
	"an atomic down migration": {
		"5_x.sql", table5 + "CREATE INDEX CONCURRENTLY a5i ON a5 (i);\nSELECT 1/0;\n-- +migrate Down\nDROP TABLE a5;",
	},
	"a down migration that is a chain": {
		"5_x.sql", table5 + "CREATE INDEX CONCURRENTLY a5i ON a5 (i);\nSELECT 1/0;\n-- +migrate Down\n" +
			"DROP INDEX CONCURRENTLY a5i;\nDROP TABLE a5;",
	},
	"sections outside a transaction": {
		"5_x.sql", "-- +migrate Up notransaction\n" + table5 + "SELECT 1/0;\n-- +migrate Down notransaction\nDROP TABLE a5;",
	},
	"an atomic down migration outside a transaction": {
		"5_x.sql", "-- +migrate Up notransaction\n" + table5 + "SELECT 1/0;\n-- +migrate Down\nDROP TABLE a5;",
	},
	"a backfill": {
		"5_x.sql", strings.Replace(filling5, "WORKERS", "1", 1) + "-- +migrate Down\nDROP TABLE a5;",
	},
	"a backfill with workers, and a down migration of several steps": {
		"5_x.sql", strings.Replace(filling5, "WORKERS", "2", 1) + "-- +migrate Down\nVACUUM a5;\nDROP TABLE a5;",
	},
	"a script with batches": {"5_x.js", script5},
}

// correct is what a file is corrected to.
func correct(broken string) string {
	return strings.NewReplacer("SELECT 1/0", "SELECT 1", " + 0 * (1 / (id - 1500))", "").Replace(broken)
}

// rollbacks are the commands that take a half-done 5_x back; redo runs it again.
var rollbacks = map[string]func(context.Context, *whimbrel.Migrator) error{
	"down": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{})
		return err
	},
	"down, no pipeline": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{})
		return err
	},
	"to": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.To(ctx, "1", whimbrel.ToOptions{})
		return err
	},
	"redo": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Redo(ctx, whimbrel.RedoOptions{})
		return err
	},
}

// rowsOf5 is what a5 holds, of both of its forms.
const rowsOf5 = "SELECT coalesce(string_agg(a::text, ' ' ORDER BY a::text), '') FROM a5 a"

func TestTakingBackWhatIsHalfDoneForgetsIt(t *testing.T) {
	t.Parallel()
	base := "CREATE TABLE base ();\n-- +migrate Down\nDROP TABLE base;"
	for shape, test := range halfDone {
		for way, back := range rollbacks {
			t.Run(shape+", "+way, func(t *testing.T) {
				b := setup(t)
				f := files{"1_base.sql": base, test.file: test.broken}
				config := func(c *whimbrel.Config) { c.NoPipeline = way == "down, no pipeline" }
				_, err := b.migrator(f, withScripts, config).Up(t.Context(), whimbrel.UpOptions{})
				require.Error(t, err)
				require.NotEqual(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
				f[test.file] = correct(test.broken)
				require.NoError(t, back(t.Context(), b.migrator(f, withScripts, config)))
				require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
				if way != "redo" {
					require.Equal(t, "1", b.applied())
					require.Equal(t, "NULL", b.text("SELECT to_regclass('a5')"))
					_, err = b.migrator(f, withScripts, config).Up(t.Context(), whimbrel.UpOptions{})
					require.NoError(t, err)
				}
				b.isAsFresh(f)
			})
		}
	}
}

// isAsFresh compares the database with a new one on which the files have run.
func (b *bundle) isAsFresh(f files) {
	b.Helper()
	url, drop, err := server.FreshDatabase(b.Context())
	require.NoError(b, err)
	b.Cleanup(drop)
	fresh := &bundle{T: b.T, url: url}
	fresh.conn = fresh.connect()
	_, err = fresh.migrator(f, withScripts).Up(b.Context(), whimbrel.UpOptions{})
	require.NoError(b, err)
	require.Equal(b, fresh.schema(), b.schema())
	require.Equal(b, fresh.applied(), b.applied())
	require.Equal(b, fresh.text(rowsOf5), b.text(rowsOf5))
	require.Equal(b, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestUnrecordingWhatIsHalfDoneForgetsIt(t *testing.T) {
	t.Parallel()
	for shape, test := range halfDone {
		t.Run(shape, func(t *testing.T) {
			b := setup(t)
			broken, _, _ := strings.Cut(test.broken, "-- +migrate Down")
			broken, _, _ = strings.Cut(broken, "exports.down")
			f := files{test.file: broken}
			_, err := b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
			require.Error(t, err)
			_, err = b.migrator(f, withScripts).Down(t.Context(), whimbrel.DownOptions{})
			_ = fails(t, err, whimbrel.CodeIrreversible)
			_, err = b.migrator(f, withScripts).Down(t.Context(), whimbrel.DownOptions{ForceNoDown: true})
			require.NoError(t, err)
			b.exec("DROP TABLE a5")
			f[test.file] = correct(broken)
			_, err = b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			b.isAsFresh(f)
		})
	}
}

func TestAVersionThatIsSpelledAnotherWayIsTheSameHalfDoneOne(t *testing.T) {
	t.Parallel()
	for shape, test := range halfDone {
		for _, way := range []string{"up", "down"} {
			if test.file == "5_x.js" && way == "up" || way == "up" && strings.Contains(test.broken, "Batch") {
				continue // of which another text is refused
			}
			t.Run(shape+", "+way, func(t *testing.T) {
				b := setup(t)
				_, err := b.migrator(files{test.file: test.broken}, withScripts).Up(t.Context(), whimbrel.UpOptions{})
				require.Error(t, err)
				f := files{"00" + test.file: correct(test.broken)}
				if way == "down" {
					_, err = b.migrator(f, withScripts).Down(t.Context(), whimbrel.DownOptions{})
					require.NoError(t, err)
					require.Equal(t, "NULL", b.text("SELECT to_regclass('a5')"))
				}
				_, err = b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
				b.isAsFresh(f)
			})
		}
	}
}

func TestStepsThatAreDoneAreNotDoneAgainWhereThoseBehindThemAreTakenOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ done, rest string }{
		"a transaction": {table5, "CREATE INDEX CONCURRENTLY a5i ON a5 (i) WHERE 1/0 > i;"},
		"a statement by itself": {table5 + "VACUUM a5;\nINSERT INTO a5 VALUES (6);\n" +
			"CREATE INDEX CONCURRENTLY a5i ON a5 (i);\n", "SELECT 1/0;"},
		"a backfill":                   {correct(strings.Replace(filling5, "WORKERS", "1", 1)), "SELECT 1/0;"},
		"all but the last transaction": {table5 + "VACUUM a5;\nINSERT INTO a5 VALUES (6);\n", "VACUUM nosuch;"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{"5_x.sql": test.done + test.rest}).Up(t.Context(), whimbrel.UpOptions{})
			require.Error(t, err)
			f := files{"5_x.sql": test.done, "6_y.sql": "CREATE TABLE behind ();"}
			_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			b.isAsFresh(f)
		})
	}
}

// halfDown leaves migration 5 applied and half-way down: its index is gone, its table is not.
func halfDown(b *bundle) files {
	b.Helper()
	f := files{
		"1_base.sql": "CREATE TABLE base ();\n-- +migrate Down\nDROP TABLE base;",
		"5_x.sql": table5 + "CREATE INDEX a5i ON a5 (i);\n-- +migrate Down\nDROP INDEX CONCURRENTLY a5i;\n" +
			"SELECT 1 / count(*) FROM a5 WHERE i = 7;\nDROP TABLE a5;",
	}
	_, err := b.migrator(f).Up(b.Context(), whimbrel.UpOptions{})
	require.NoError(b, err)
	_, err = b.migrator(f).Down(b.Context(), whimbrel.DownOptions{})
	_ = fails(b, err, whimbrel.CodeStatement)
	return f
}

func TestWhatIsHalfWayDownIsNeverTakenForApplied(t *testing.T) {
	t.Parallel()
	more := func(f files) files {
		return files{"1_base.sql": f["1_base.sql"], "5_x.sql": f["5_x.sql"], "7_z.sql": "CREATE TABLE z ();"}
	}
	for name, run := range map[string]func(context.Context, *bundle, files) error{
		"up": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(more(f)).Up(ctx, whimbrel.UpOptions{})
			return err
		},
		"redo": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(f).Redo(ctx, whimbrel.RedoOptions{})
			return err
		},
		"to its own": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(f).To(ctx, "5", whimbrel.ToOptions{})
			return err
		},
		"to a newer": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(more(f)).To(ctx, "7", whimbrel.ToOptions{})
			return err
		},
		"to one between": func(ctx context.Context, b *bundle, f files) error {
			b.exec("INSERT INTO schema_migrations (version, name, checksum) VALUES ('9', 'n', '')")
			_, err := b.migrator(more(f)).To(ctx, "7", whimbrel.ToOptions{})
			return err
		},
		"baseline": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(more(f)).Baseline(ctx, "7", whimbrel.BaselineOptions{})
			return err
		},
		"accept": func(ctx context.Context, b *bundle, f files) error {
			_, err := b.migrator(files{"5_x.sql": f["5_x.sql"] + "\n-- edited"}).Accept(ctx, "5")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := halfDown(b)
			e := fails(t, run(t.Context(), b, f), whimbrel.CodeUnfinished)
			require.EqualValues(t, "5", e.Version)
			require.Equal(t, whimbrel.Down, e.Direction)
			require.Contains(t, e.Remedy, "Migrator.Recover")
			require.Equal(t, "1", b.text("SELECT count(*) FROM schema_migrations_journal"), "it is not forgotten")
			require.Equal(t, "NULL", b.text("SELECT to_regclass('z')"))
		})
	}
}

func TestAHalfWayDownIsFinishedFirst(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(context.Context,
		*whimbrel.Migrator) error{"down": rollbacks["down"], "to": rollbacks["to"]} {
		for _, stored := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", stored"}[stored], func(t *testing.T) {
				b := setup(t)
				f := halfDown(b)
				if stored {
					delete(f, "5_x.sql")
				}
				b.exec("INSERT INTO a5 VALUES (7)")
				require.NoError(t, finish(t.Context(), b.migrator(f)))
				require.Equal(t, "1", b.applied())
				require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
				require.Equal(t, "NULL", b.text("SELECT to_regclass('a5')"))
			})
		}
	}
}

func TestWhatStoppedOnBothWaysGoesOnDown(t *testing.T) {
	b := setup(t)
	f := files{"5_x.sql": table5 + "CREATE INDEX CONCURRENTLY a5i ON a5 (i);\nSELECT 1/0;\n-- +migrate Down\n" +
		"DROP INDEX CONCURRENTLY a5i;\nSELECT 1/0;\nDROP TABLE a5;"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.Equal(t, 7, fails(t, err, whimbrel.CodeStatement).Line)
	f["5_x.sql"] = correct(f["5_x.sql"])
	for _, up := range []func() error{
		func() error { _, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{}); return err },
		func() error { _, err := b.migrator(f).To(t.Context(), "5", whimbrel.ToOptions{}); return err },
	} {
		require.Equal(t, whimbrel.Down, fails(t, up(), whimbrel.CodeUnfinished).Direction)
	}
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.isAsFresh(f)
}

func TestSeveralHalfDoneMigrationsGoDownNewestFirst(t *testing.T) {
	b := setup(t)
	broken := func(n string) string {
		return "CREATE TABLE h" + n + " ();\nVACUUM h" + n + ";\nSELECT 1/0;\n-- +migrate Down\nDROP TABLE h" + n + ";"
	}
	apply := func(c *whimbrel.Config) { c.OutOfOrder = whimbrel.ApplyOutOfOrder }
	f := files{"1_base.sql": "CREATE TABLE base ();\n-- +migrate Down\nDROP TABLE base;"}
	for _, n := range []string{"10", "9"} {
		f[n+"_h.sql"] = broken(n)
		_, err := b.migrator(f, apply).Up(t.Context(), whimbrel.UpOptions{})
		require.Error(t, err)
	}
	for _, want := range []string{"10", "9", "1"} {
		result, err := b.migrator(f, apply).Down(t.Context(), whimbrel.DownOptions{})
		require.NoError(t, err)
		require.EqualValues(t, want, result.Done[0].Version)
	}
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestAWithdrawnRepeatableThatIsHalfWayDownIsFinishedFirst(t *testing.T) {
	b := setup(t)
	f := files{
		"1_base.sql": "CREATE TABLE base (i int);\n-- +migrate Down\nDROP TABLE base;",
		"R__view.sql": "-- +migrate Variables HOW\nCREATE OR REPLACE VIEW v AS SELECT 1;\n" +
			"CREATE INDEX IF NOT EXISTS bi ON base (i);\n-- +migrate Down\nDROP INDEX ${HOW} bi;\nDROP VIEW v;\n",
	}
	how := func(c *whimbrel.Config) { c.Variables = map[string]string{"HOW": "CONCURRENTLY"} }
	_, err := b.migrator(f, how).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.exec("CREATE VIEW above AS SELECT * FROM v")
	_, err = b.migrator(f, how).Down(t.Context(), whimbrel.DownOptions{Repeatable: true})
	_ = fails(t, err, whimbrel.CodeStatement)
	_, err = b.migrator(f, how).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeUnfinished)
	b.exec("DROP VIEW above")
	result, err := b.migrator(f, how).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.EqualValues(t, "R__view", result.Done[0].Version)
	require.Equal(t, "1", b.applied(), "nothing else was rolled back")
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestAdoptingWhatIsHalfDoneForgetsTheChain(t *testing.T) {
	b := setup(t)
	f := files{"5_x.sql": halfDone["an atomic down migration"].broken}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, err = b.migrator(f).Baseline(t.Context(), "5", whimbrel.BaselineOptions{})
	_ = fails(t, err, whimbrel.CodeUnfinished)
	_, err = b.migrator(f).Adopt(t.Context(), []whimbrel.Adopted{{Version: "005"}})
	require.NoError(t, err)
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestUpRefusesWhileWhatIsHalfDoneHasNoFile(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"5_x.sql": halfDone["an atomic down migration"].broken}).Up(t.Context(),
		whimbrel.UpOptions{})
	require.Error(t, err)
	renumbered := files{"6_x.sql": "CREATE TABLE six ();"}
	_, err = b.migrator(renumbered).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeMissingFile)
	require.EqualValues(t, "5", e.Version)
	require.Equal(t, "NULL", b.text("SELECT to_regclass('six')"))
	_, err = b.migrator(renumbered, func(c *whimbrel.Config) { c.AllowMissing = true }).Up(t.Context(),
		whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "6", b.applied())
}

func TestAStepThatTurnsOutToBeOutsideATransactionLeavesNoJournal(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9); " +
		"CREATE INDEX i ON p (a)")
	_, err := b.migrator(files{"1_a.sql": "-- +migrate Up notransaction\nREINDEX INDEX i;"}).Up(t.Context(),
		whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestAnotherTextOfWhatIsHalfDoneIsRefused(t *testing.T) {
	t.Parallel()
	filling := strings.Replace(filling5, "WORKERS", "1", 1) +
		"-- +migrate Assert all are one\nSELECT bool_and(n = 1) FROM a5;\n"
	for name, test := range map[string]struct {
		file, text, old, new string
		line                 int // 0: it may be changed
	}{
		"the statement":       {"5_x.sql", filling, " + 0 * (1 / (id - 1500))", "", 4},
		"its condition":       {"5_x.sql", filling, "AND id <= :to;", "AND id <= :to AND n = 0;", 4},
		"a comment within it": {"5_x.sql", filling, "UPDATE a5 SET", "UPDATE a5 /* all */ SET", 4},
		"its key":             {"5_x.sql", filling, "a5 by id", "a5 by n", 4},
		"its table":           {"5_x.sql", filling, "Batch a5 by", "Batch public.a5 by", 4},
		"not in batches":      {"5_x.sql", filling, "-- +migrate Batch a5 by id size=100 workers=1\n", "-- as a whole\n", 1},
		"taken out": {"5_x.sql", strings.Replace(filling, "-- +migrate Assert all are one\n"+
			"SELECT bool_and(n = 1) FROM a5;\n", "", 1), filling[strings.Index(filling,
			"-- +migrate Batch"):strings.Index(filling, "-- +migrate Assert")], "", 0},
		"a script":          {"5_x.js", script5, " + 0 * (1 / (id - 1500))", "", 0},
		"its size and pace": {"5_x.sql", filling, "size=100 workers=1", "size=300 workers=3 pause=1ms", 0},
		"the message":       {"5_x.sql", filling, "all are one", "every one of them", 0},
		"the assertion":     {"5_x.sql", filling, "bool_and(n = 1)", "min(n) = 1", 0},
		"what comes behind": {"5_x.sql", filling, "-- +migrate Assert all are one",
			"SELECT 2;\n-- +migrate Assert all are one", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{test.file: test.text}, withScripts).Up(t.Context(), whimbrel.UpOptions{})
			require.Error(t, err)
			before := b.text(rowsOf5)
			require.Contains(t, before, ",1)", "some of it is done")
			edited := strings.Replace(test.text, test.old, test.new, 1)
			require.NotEqual(t, test.text, edited)
			_, err = b.migrator(files{test.file: edited}, withScripts).Up(t.Context(), whimbrel.UpOptions{})
			if refused := test.line > 0 || name == "a script" || name == "taken out"; !refused {
				require.Equal(t, "22012", fails(t, err, whimbrel.CodeStatement).SQLState, "it went on to where it cannot go on")
				return
			}
			e := fails(t, err, whimbrel.CodeJournal)
			require.Equal(t, test.line, e.Line)
			for _, choice := range []string{"put back", "Migrator.Recover", "Migrator.Down"} {
				require.Contains(t, e.Remedy, choice)
			}
			require.Equal(t, before, b.text(rowsOf5))
		})
	}
}

func TestABatchOfWhichNothingIsDoneMayBeRewritten(t *testing.T) {
	b := setup(t)
	b.touched(300)
	f := files{"5_x.sql": "SELECT 1;\n-- +migrate Batch t by id\n" +
		"UPDATE t SET touched = 1 / (id - 1) WHERE id > :from AND id <= :to;"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	f["5_x.sql"] = "SELECT 1;\n-- +migrate Batch t by id\n" + touch
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
}

func TestValuesOfVariablesAreNotInTheJournal(t *testing.T) {
	b := setup(t)
	text := "-- +migrate Variables BY\n" + strings.Replace(filling5, "WORKERS", "1", 1)
	f := files{"5_x.sql": strings.Replace(text, "n + 1 ", "n + '${BY}'::int ", 1)}
	with := func(value string) func(*whimbrel.Config) {
		return func(c *whimbrel.Config) { c.Variables = map[string]string{"BY": value} }
	}
	_, err := b.migrator(f, with("1")).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	b.exec("DELETE FROM a5 WHERE id = 1500")
	first := b.text("SELECT string_agg(statement_hash, ' ' ORDER BY step) FROM schema_migrations_journal")
	_, err = b.migrator(f, with("2")).Down(t.Context(), whimbrel.DownOptions{ForceNoDown: true})
	require.NoError(t, err)
	b.exec("DROP TABLE a5")
	_, err = b.migrator(f, with("2")).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	require.Equal(t, first, b.text("SELECT string_agg(statement_hash, ' ' ORDER BY step) FROM schema_migrations_journal"))
}
