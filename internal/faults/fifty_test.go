//go:build linux

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// fifty are migrations that would show it if one ran twice, halfway, or out of
// order. Two of them have a statement that is outside any transaction, one
// needs several messages.
func fifty() files {
	f := files{"001_ledger.sql": "CREATE TABLE ledger (id serial PRIMARY KEY, step int UNIQUE, before bigint)"}
	note := func(step int) string {
		return fmt.Sprintf("INSERT INTO ledger (step, before) SELECT %d, count(*) FROM ledger;", step)
	}
	for i := 2; i <= 50; i++ {
		name, text := fmt.Sprintf("%03d_table.sql", i), ""
		switch {
		case i == 10:
			text = "CREATE TABLE big AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 5000) g; CREATE INDEX " +
				"big_id ON big (id);"
		case i == 20:
			text = "CREATE TABLE before_build ();\nCREATE INDEX CONCURRENTLY big_note ON big (note);\n" +
				"CREATE TABLE behind_build ();"
		case i == 30:
			text = "COPY big (id, note) FROM stdin;\n-1\tminus one\n\\.\n-- +migrate Assert there\n" +
				"SELECT count(*) = 5001 FROM big;"
		case i == 40:
			text = "CREATE TABLE before_drop ();\nDROP INDEX CONCURRENTLY big_id;"
		case i%7 == 0:
			text = fmt.Sprintf("CREATE TYPE mood%[1]d AS ENUM ('a', 'b'); CREATE FUNCTION f%[1]d() RETURNS int LANGUAGE sql "+
				"AS 'SELECT %[1]d'; CREATE VIEW v%[1]d AS SELECT f%[1]d() AS f;", i)
		case i > 10 && i%5 == 0:
			text = "ALTER TABLE big ADD COLUMN " + fmt.Sprintf("c%d int NOT NULL DEFAULT %d;", i, i)
		default:
			text = fmt.Sprintf("CREATE TABLE t%[1]d (id int PRIMARY KEY);\nINSERT INTO t%[1]d VALUES (1), (2);", i)
		}
		f[name] = text + "\n" + note(i)
	}
	return f
}

// undisturbed is the outcome of the fifty without a fault: the schema, and how
// many events tell of it.
var undisturbed struct {
	once   sync.Once
	schema string
	events int
}

func theFiftyUndisturbed(t *testing.T) (schema string, events int) {
	t.Helper()
	undisturbed.once.Do(func() {
		b := setup(t)
		require.NoError(t, b.up(fifty()))
		undisturbed.schema, undisturbed.events = b.schema(), len(b.heard())
	})
	require.NotEmpty(t, undisturbed.schema)
	return undisturbed.schema, undisturbed.events
}

// intact requires what an undisturbed run of the fifty leaves: the same schema,
// each migration recorded once and run once, nothing left over.
func (b *bundle) intact() {
	b.Helper()
	schema, _ := theFiftyUndisturbed(b.T)
	require.Equal(b, "50 of 50", b.text("SELECT count(*) || ' of ' || count(DISTINCT version) FROM schema_migrations"))
	require.Equal(b, "50 of 50", b.text("SELECT count(*) || ' of ' || count(DISTINCT version) FROM "+
		"schema_migrations_log WHERE action = 'up' AND outcome = 'done'"))
	require.Equal(b, "49 of 49", b.text("SELECT count(*) FILTER (WHERE before = step - 2) || ' of ' || count(*) FROM "+
		"ledger"))
	require.Equal(b, "0", b.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready"))
	require.Equal(b, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
	require.Equal(b, schema, b.schema())
}

// moment is a random moment of a run of the fifty: a time after an event.
type moment struct {
	event int
	after time.Duration
}

// seed makes random moments repeatable: FAULTS_SEED takes the one that a failure
// names.
var seed = func() uint64 {
	if given, err := strconv.ParseUint(os.Getenv("FAULTS_SEED"), 10, 64); err == nil {
		return given
	}
	return rand.Uint64()
}()

// randomMoment chooses a moment for one of several trials. Most come right after
// any event; a quarter comes later after it, which is in the statements that
// take longer.
func randomMoment(t *testing.T, trial int) moment {
	t.Helper()
	_, events := theFiftyUndisturbed(t)
	random := rand.New(rand.NewPCG(seed, uint64(trial)))
	m := moment{event: 1 + random.IntN(events-1), after: time.Duration(random.IntN(int(4 * time.Millisecond)))}
	if trial%4 == 0 {
		m.after = time.Duration(random.IntN(int(60 * time.Millisecond)))
	}
	t.Logf("FAULTS_SEED=%d: event %d and %s later", seed, m.event, m.after)
	return m
}

// strikeAt calls a function once at a moment of a run in this process. done
// returns when it has been called, or will not be.
func strikeAt(m moment, strike func()) (change func(*whimbrel.Config), done func()) {
	var mutex sync.Mutex
	events := 0
	var striking sync.WaitGroup
	change = hearing(func(whimbrel.Record) {
		mutex.Lock()
		defer mutex.Unlock()
		if events++; events == m.event {
			striking.Go(func() {
				time.Sleep(m.after)
				strike()
			})
		}
	})
	return change, striking.Wait
}

// tally counts outcomes of trials, for the log.
type tally struct {
	mutex  sync.Mutex
	counts map[string]int
}

func (t *tally) add(outcome string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[outcome]++
}

func (t *tally) count(outcome string) int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.counts[outcome]
}
