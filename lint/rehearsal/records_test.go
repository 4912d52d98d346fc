package rehearsal_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

func history(h lint.Hazard) []string {
	if h.Setup == "" {
		return []string{lint.ExampleSchema}
	}
	return []string{lint.ExampleSchema, h.Setup}
}

func on(h lint.Hazard) lint.Severities {
	if h.Severity == lint.Off {
		return lint.Severities{h.ID.String(): lint.Warn}
	}
	return nil
}

// decisive are the locks that stop others at ordinary work, or at schema changes;
// the weaker ones depend on what foreign keys look up on the way.
func decisive(locks []lint.Lock) map[string]lint.Mode {
	strong := map[string]lint.Mode{}
	for _, l := range locks {
		if l.Mode >= lint.ShareUpdateExclusive {
			strong[l.Table] = max(strong[l.Table], l.Mode)
		}
	}
	return strong
}

// seenToBeHarmless are hazards whose bad example a rehearsal can clear: it knows what
// a text that is put together says, and there is no other place or format to move a
// table to.
var seenToBeHarmless = map[string]bool{"opaque-dynamic-ddl": true, "set-tablespace": true, "set-access-method": true}

// text judges the last migration without a rehearsal.
func text(t *testing.T, history []string, judged string) lint.Report {
	t.Helper()
	linter, err := lint.New(lint.Options{Major: server.Version().Major, Judge: func(m migration.Migration) bool {
		return m.Version == migration.Version(fmt.Sprintf("%03d", len(history)+1))
	}})
	require.NoError(t, err)
	report, err := linter.Check(parse(t, append(slices.Clone(history), judged)...))
	require.NoError(t, err)
	return report
}

func TestBadExamplesLockWhatTheirRecordsSay(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		if h.Since > server.Version().Major || h.Until > 0 && h.Until < server.Version().Major ||
			h.ID.String() == "alter-on-partitioned-parent" {
			continue
		}
		t.Run(h.ID.String(), func(t *testing.T) {
			t.Parallel()
			result := run(t, on(h), history(h), []string{h.Bad})
			if h.Refused != "" {
				require.NotEmpty(t, result.Observations)
				last := result.Observations[len(result.Observations)-1]
				refused := last.Failure
				if refused == nil {
					refused = last.WithRows
				}
				require.NotNil(t, refused, "the server does not refuse it")
				require.Equal(t, h.Refused, refused.SQLSTATE)
				return
			}
			require.Empty(t, result.Stopped)
			if !seenToBeHarmless[h.ID.String()] {
				require.Contains(t, ids(result.Report), h.ID.String())
			}
			read := text(t, history(h), h.Bad)
			var seen, predicted []lint.Lock
			for i, o := range result.Observations {
				if result.Report.Files[0].Statements[i].Alone {
					return // measured below, since it keeps no lock until its end
				}
				seen = append(seen, o.Held...)
				predicted = append(predicted, read.Files[0].Statements[i].Effect.Locks...)
				if read.Files[0].Statements[i].Verdict == lint.Unknown {
					return // it says that it does not know
				}
			}
			require.Equal(t, decisive(seen), decisive(predicted), "predicted")
			if strong := decisive(h.Locks); len(strong) > 0 {
				require.Equal(t, decisive(seen), strong, "the record")
			}
		})
	}
}

func TestGoodExamplesRunAndNothingIsFoundInThem(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		if max(h.Since, h.GoodSince) > server.Version().Major {
			continue
		}
		t.Run(h.ID.String(), func(t *testing.T) {
			t.Parallel()
			result := run(t, on(h), history(h), h.Good)
			require.Empty(t, result.Stopped)
			require.Empty(t, ids(result.Report))
		})
	}
}
