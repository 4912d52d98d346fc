package whimbrel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// stopped runs what stops half-way and gives what is then unfinished.
func (b *bundle) stopped(f files) []whimbrel.Unfinished {
	b.Helper()
	_, err := b.migrator(f, withScripts).Up(b.Context(), whimbrel.UpOptions{})
	require.Error(b, err)
	return b.unfinished(f)
}

func (b *bundle) unfinished(f files) []whimbrel.Unfinished {
	b.Helper()
	all, err := b.migrator(f, withScripts).Unfinished(b.Context())
	require.NoError(b, err)
	return all
}

// recover takes the only unfinished migration up.
func (b *bundle) recover(f files, action whimbrel.Action) error {
	b.Helper()
	_, err := b.migrator(f, withScripts).Recover(b.Context(), whimbrel.RecoverOptions{Action: action})
	return err
}

// states shows the steps of what is unfinished in one line.
func states(u whimbrel.Unfinished) string {
	var all []string
	for _, s := range u.Steps {
		text := string(s.State)
		if s.Keys > 0 {
			text += fmt.Sprintf(" at %d", s.Keys)
		}
		if s.Rewritten {
			text += " rewritten"
		}
		if s.Kind == "" {
			text += " gone"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// logged is the log's newest line about a recovery.
const logged = "SELECT version || ' ' || outcome || ': ' || (steps->0->>'summary') || (run_by <> '') FROM " +
	"schema_migrations_log WHERE action = 'recover' ORDER BY id DESC LIMIT 1"

func TestWhatIsHalfDoneIsShownStepByStep(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"an atomic down migration":       {"5 x stopped after step 2 of 3", "done, done, not_begun"},
		"a backfill":                     {"5 x stopped in step 2 of 2", "done, stopped at 1400"},
		"a script with batches":          {"5 x stopped in step 1 of 1", "stopped at 1400"},
		"sections outside a transaction": {"5 x stopped after step 2 of 3", "done, done, not_begun"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := files{halfDone[name].file: strings.Replace(halfDone[name].broken, "size=100", "size=200", 1)}
			found := b.stopped(f)
			require.Len(t, found, 1)
			require.Equal(t, want[0], found[0].String())
			require.NotRegexp(t, "rewritten|gone", states(found[0]))
			require.Regexp(t, strings.ReplaceAll(want[1], "1400", "[0-9]+"), states(found[0]))
			require.Equal(t, whimbrel.Up, found[0].Direction)
			require.False(t, found[0].Recorded)
			require.False(t, found[0].Since.IsZero())
			plan, err := b.migrator(f, withScripts).Plan(t.Context(), whimbrel.Back(1))
			require.NoError(t, err)
			require.Equal(t, found[0].String(), plan.Migrations[0].Unfinished().String(), "down says what it undoes")
			_, err = b.migrator(f, withScripts).Down(t.Context(), whimbrel.DownOptions{})
			require.NoError(t, err)
			heard := b.heard()
			require.Less(t, strings.Index(strings.Join(heard, " "), "undoing_unfinished"),
				strings.LastIndex(strings.Join(heard, " "), "migration_started"))
			require.Contains(t, heard, "undoing_unfinished")
			require.Empty(t, b.unfinished(f))
		})
	}
}

func TestWhatWasDoneStandsAsDoneWhereItIsContinued(t *testing.T) {
	t.Parallel()
	filling := strings.Replace(filling5, "WORKERS", "1", 1)
	for name, test := range map[string]struct{ file, broken, corrected string }{
		"as it was": {"5_x.sql", table5 + "VACUUM a5;\nSELECT 1 / (count(*) - 1) FROM a5;", ""},
		"a done step": {"5_x.sql", table5 + "VACUUM a5;\nSELECT 1/0;",
			table5 + "-- and more\nINSERT INTO a5 VALUES (6);\nVACUUM a5;\nSELECT 1;"},
		"a batch":  {"5_x.sql", filling, correct(filling)},
		"a script": {"5_x.js", script5, correct(script5)},
		"a step taken out": {"5_x.sql", table5 + "VACUUM a5;\nSELECT 1;\nVACUUM (ANALYZE) a5;\nSELECT 1/0;",
			table5 + "VACUUM a5;"},
		"a batch taken out": {"5_x.sql", correct(filling) + "SELECT 1/0;", "CREATE TABLE a5 (id int PRIMARY KEY, n int);\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := files{test.file: test.broken}
			found := b.stopped(f)
			before := b.text(rowsOf5)
			if test.corrected == "" {
				b.exec("INSERT INTO a5 VALUES (6)")
			} else {
				f[test.file] = test.corrected
				_, err := b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
				_ = fails(t, err, whimbrel.CodeJournal)
				found = b.unfinished(f)
			}
			require.NoError(t, b.recover(f, whimbrel.RecoverContinue))
			require.Equal(t, "5 done: continued; "+found[0].String()+"true", b.text(logged))
			require.Equal(t, "5", b.applied())
			require.Empty(t, b.unfinished(f))
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
			switch test.file {
			case "5_x.js":
				require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT n::text, ' ') FROM a5"), "each row once")
			default:
				if strings.Contains(name, "batch") {
					require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT n::text, ' ') FROM a5"), "each row once")
				} else if test.corrected != "" {
					require.Equal(t, before, b.text(rowsOf5), "nothing ran again")
				}
			}
		})
	}
}

func TestContinuingIsRefusedWhereRangesWouldBeOfSomethingElse(t *testing.T) {
	t.Parallel()
	filling := strings.Replace(filling5, "WORKERS", "1", 1)
	for name, edit := range map[string][2]string{
		"another key":    {"a5 by id", "a5 by n"},
		"another table":  {"Batch a5", "Batch b5"},
		"not in batches": {"-- +migrate Batch a5 by id size=100 workers=1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_ = b.stopped(files{"5_x.sql": filling})
			f := files{"5_x.sql": strings.NewReplacer(edit[0], edit[1], ":from", "0", ":to", "9").Replace(filling)}
			if edit[1] != "" {
				f["5_x.sql"] = strings.Replace(filling, edit[0], edit[1], 1)
			}
			_ = fails(t, b.recover(f, whimbrel.RecoverContinue), whimbrel.CodeJournal)
			require.NotEqual(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
		})
	}
}

func TestARestartRunsFromTheFirstStep(t *testing.T) {
	t.Parallel()
	for name, test := range halfDone {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := files{test.file: test.broken}
			found := b.stopped(f)
			f[test.file] = correct(test.broken)
			if test.file == "5_x.sql" { // what is done is in the way, and stays half done
				_ = fails(t, b.recover(f, whimbrel.RecoverRestart), whimbrel.CodeStatement)
				require.Equal(t, "5 done: restarted; "+found[0].String()+"true", b.text(logged))
				require.Len(t, b.unfinished(f), 1)
				require.Contains(t, states(b.unfinished(f)[0]), "not_begun")
			}
			b.exec("DROP TABLE a5")
			require.NoError(t, b.recover(f, whimbrel.RecoverRestart))
			require.Equal(t, "5", b.applied())
			b.isAsFresh(f)
		})
	}
}

func TestADiscardForgetsAndRunsNothing(t *testing.T) {
	t.Parallel()
	for name, test := range halfDone {
		for _, gone := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", without its file"}[gone], func(t *testing.T) {
				b := setup(t)
				f := files{test.file: test.broken}
				_ = b.stopped(f)
				before := b.schema()
				if gone {
					f = files{}
				}
				require.NoError(t, b.recover(f, whimbrel.RecoverDiscard))
				require.Contains(t, b.text(logged), "5 done: discarded; 5")
				require.Equal(t, before, b.schema())
				require.Empty(t, b.applied())
				require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
				require.NoError(t, b.recover(f, whimbrel.RecoverDiscard), "there is nothing left to do")
			})
		}
	}
}

func TestWhatIsHalfWayDownRecoversDown(t *testing.T) {
	t.Parallel()
	for action, want := range map[whimbrel.Action]string{
		whimbrel.RecoverContinue: "1", whimbrel.RecoverRestart: "1", whimbrel.RecoverDiscard: "1 5",
	} {
		t.Run(string(action), func(t *testing.T) {
			b := setup(t)
			f := halfDown(b)
			found := b.unfinished(f)
			require.Equal(t, "5 x, on its way down, stopped after step 1 of 2", found[0].String())
			require.True(t, found[0].Recorded)
			f["5_x.sql"] = strings.Replace(f["5_x.sql"], "CONCURRENTLY a5i", "CONCURRENTLY IF EXISTS a5i", 1)
			f["5_x.sql"] = strings.Replace(f["5_x.sql"], "SELECT 1 / count(*) FROM a5 WHERE i = 7;", "", 1)
			_, err := b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
			e := fails(t, err, whimbrel.CodeJournal)
			require.NotContains(t, e.Remedy, "Migrator.Down")
			require.NoError(t, b.recover(f, action))
			require.Equal(t, want, b.applied())
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
			require.Equal(t, map[bool]string{true: "a5", false: "NULL"}[action == whimbrel.RecoverDiscard],
				b.text("SELECT to_regclass('a5')"))
		})
	}
}

func TestRecoverWantsToKnowWhich(t *testing.T) {
	b := setup(t)
	apply := func(c *whimbrel.Config) { c.OutOfOrder = whimbrel.ApplyOutOfOrder }
	f := files{}
	for _, n := range []string{"10", "9"} {
		f[n+"_h.sql"] = "CREATE TABLE h" + n + " ();\nVACUUM h" + n + ";\nSELECT 1/0;"
		_, err := b.migrator(f, apply).Up(t.Context(), whimbrel.UpOptions{})
		require.Error(t, err)
	}
	require.Contains(t, fails(t, b.recover(f, whimbrel.RecoverDiscard), whimbrel.CodeConfiguration).Message, "10, 9")
	m := b.migrator(f)
	_, err := m.Recover(t.Context(), whimbrel.RecoverOptions{Version: "7", Action: whimbrel.RecoverDiscard})
	_ = fails(t, err, whimbrel.CodeUnknownVersion)
	_, err = m.Recover(t.Context(), whimbrel.RecoverOptions{Version: "10", Action: "forget"})
	_ = fails(t, err, whimbrel.CodeConfiguration)
	_, err = m.Recover(t.Context(), whimbrel.RecoverOptions{Version: "0010", Action: whimbrel.RecoverDiscard})
	require.NoError(t, err)
	require.Equal(t, "9", b.text("SELECT string_agg(DISTINCT version, ' ') FROM schema_migrations_journal"))
}

func TestABatchThatAnOlderVersionBeganIsContinuedWhereSomebodySaysSo(t *testing.T) {
	b := setup(t)
	filling := strings.Replace(filling5, "WORKERS", "1", 1)
	_ = b.stopped(files{"5_x.sql": filling})
	b.exec("UPDATE schema_migrations_journal SET statement_hash = 'a5 by id', cursor = (cursor::jsonb - 'of')::text " +
		"WHERE step >= 1000000")
	b.exec("DELETE FROM a5 WHERE id = 1500")
	f := files{"5_x.sql": filling}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Equal(t, 4, fails(t, err, whimbrel.CodeJournal).Line)
	require.NoError(t, b.recover(f, whimbrel.RecoverContinue))
	require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT n::text, ' ') FROM a5"))
}
