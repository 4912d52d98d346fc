//go:build linux

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

// chainsEnvironment is how many random chains are stopped, in place of 100.
const chainsEnvironment = "FAULTS_CHAINS"

// TestWhatBecomesOfARandomChainIsWhatAFreshDatabaseHas stops random chains at a random
// place, ends them in one of the ways there are, and compares schema and rows with those
// of a database on which the same files have run without trouble.
func TestWhatBecomesOfARandomChainIsWhatAFreshDatabaseHas(t *testing.T) {
	t.Parallel()
	count := 100
	if text := os.Getenv(chainsEnvironment); text != "" {
		var err error
		count, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	var outcomes tally
	t.Run("chains", func(t *testing.T) {
		for number := range count {
			t.Run(fmt.Sprint(number), func(t *testing.T) {
				t.Parallel()
				trial := &chainTrial{bundle: setup(t), random: rand.New(rand.NewPCG(seed, uint64(number))), outcomes: &outcomes}
				t.Logf("FAULTS_SEED=%d", seed)
				trial.run()
			})
		}
	})
	t.Logf("FAULTS_SEED=%d, %d chains: %v", seed, count, outcomes.counts)
}

// chain is a migration of several steps, and how it can fail.
type chain struct {
	file      string
	up        []string // the parts of the file; with SQL, about a step each
	down      string
	faulty    int // the part that fails before it is corrected; -1 for none
	corrected bool
	cleanUp   string // what undoes it by hand, whatever is done of it
}

// base is what a chain is built upon.
const base = `CREATE TABLE base (id int PRIMARY KEY, mark int NOT NULL DEFAULT 0);
INSERT INTO base (id) SELECT g FROM generate_series(1, 600) g;
CREATE TABLE ledger (entry text);
-- +migrate Down
DROP TABLE ledger, base;
`

// filling is a backfill that cannot do a row before it is corrected.
func filling(random *rand.Rand, table, column string) string {
	return fmt.Sprintf("-- +migrate Batch %s by id size=%d workers=%d\n"+
		"UPDATE %s SET %s = %s + 1@FAULT@ WHERE id > :from AND id <= :to;\n",
		table, 30+random.IntN(150), 1+random.IntN(2), table, column, column)
}

// randomChain makes one. Its table c5 has rows that count how often they were done, and the
// ledger has an entry for each transaction.
func randomChain(random *rand.Rand) chain {
	c := chain{file: "5_chain.sql", faulty: -1, cleanUp: "DROP TABLE IF EXISTS c5, d5; DELETE FROM ledger; UPDATE base " +
		"SET mark = 0 WHERE mark <> 0;\n"}
	if random.IntN(8) == 0 {
		return scripted(random, c)
	}
	c.up = []string{"CREATE TABLE c5 (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, m int NOT NULL DEFAULT 0);\n" +
		"INSERT INTO c5 (id) SELECT g FROM generate_series(1, 500) g;\n"}
	indexes := []string{}
	for i := range 2 + random.IntN(5) {
		part := ""
		switch random.IntN(8) {
		case 0, 1:
			part = fmt.Sprintf("INSERT INTO ledger VALUES ('entry %d');\n", i)
		case 2:
			part = fmt.Sprintf("CREATE INDEX CONCURRENTLY c5_%d ON c5 (n, m) WHERE id > %d;\n", i, i)
			indexes = append(indexes, fmt.Sprintf("c5_%d", i))
		case 3:
			part = "VACUUM c5;\n"
			if len(indexes) > 0 && random.IntN(2) == 0 {
				part = "DROP INDEX CONCURRENTLY " + indexes[len(indexes)-1] + ";\n"
				indexes = indexes[:len(indexes)-1]
			}
		case 4, 5:
			part = filling(random, "c5", []string{"n", "m"}[random.IntN(2)])
			if random.IntN(3) == 0 {
				part += "-- +migrate Assert all is there\nSELECT count(*) = 500 FROM c5;\n"
			}
		case 6:
			part = filling(random, "base", "mark")
		case 7:
			part = "-- +migrate Assert all is there\nSELECT count(*) = 500 FROM c5;\nINSERT INTO ledger VALUES ('asserted');\n"
		}
		c.up = append(c.up, part)
	}
	if random.IntN(4) == 0 { // then everything is a step of its own
		c.up[0] = "-- +migrate Up notransaction\n" + c.up[0]
	}
	c.down = "-- +migrate Down\n" + c.cleanUp
	switch random.IntN(4) {
	case 0:
		c.down = "-- +migrate Down\nDROP INDEX CONCURRENTLY IF EXISTS c5_2;\nDELETE FROM ledger;\nVACUUM base;\n" +
			"DROP TABLE IF EXISTS c5;\n" +
			"-- +migrate Batch base by id size=100\nUPDATE base SET mark = 0 WHERE id > :from AND id <= :to AND mark <> 0;\n"
	case 1:
		c.down = ""
	}
	c.faulty = random.IntN(len(c.up)+1) - 1
	return c
}

// scripted is a chain as a script, whose batches are what it keeps.
func scripted(random *rand.Rand, c chain) chain {
	c.file, c.faulty = "5_chain.js", 1
	fill := func(table, column string) string {
		return fmt.Sprintf("await client.batch({ table: '%s', key: 'id', size: %d }, async (range, client) => "+
			"client.query('UPDATE %s SET %s = %s + 1@FAULT@ WHERE id > $1 AND id <= $2', [range.from, range.to]));\n",
			table, 30+random.IntN(150), table, column, column)
	}
	c.up = []string{
		"exports.transaction = false;\nexports.up = async (client) => {\n" +
			"await client.query('CREATE TABLE IF NOT EXISTS c5 (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)');\n" +
			"await client.query('INSERT INTO c5 (id) SELECT g FROM generate_series(1, 500) g ON CONFLICT DO NOTHING');\n",
		fill("c5", "n"), fill("base", "mark"), "};\n",
	}
	if random.IntN(3) > 0 {
		c.down = "exports.down = async (client) => { await client.query('" + strings.TrimSpace(c.cleanUp) + "'); };\n"
	}
	return c
}

// files are the chain as a file, upon base.
func (c chain) files() files {
	text := ""
	for i, part := range c.up {
		fault := ""
		if i == c.faulty && !c.corrected {
			if fault = " + 0 / (id - 300)"; !strings.Contains(part, "@FAULT@") {
				part += "SELECT 1 / 0;\n"
			}
		}
		text += strings.ReplaceAll(part, "@FAULT@", fault)
	}
	return files{"1_base.sql": base, c.file: text + c.down}
}

// chainTrial is one chain, stopped once or more often.
type chainTrial struct {
	*bundle
	random   *rand.Rand
	outcomes *tally
	chain    chain
}

func withScripts(c *whimbrel.Config) { c.Scripts = js.New(js.Options{}) }

func (t *chainTrial) run() {
	t.chain = randomChain(t.random)
	corrected := t.chain
	corrected.corrected = true
	fresh := setup(t.T)
	_, err := fresh.migrator(corrected.files(), withScripts).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	t.Logf("%s:\n%s", t.chain.file, t.chain.files()[t.chain.file])

	_, err = t.migrator(files{"1_base.sql": base}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	t.stop()
	t.chain = corrected
	t.finish()
	require.Equal(t, fresh.rowsAndSchema(), t.rowsAndSchema())
	require.Equal(t, "1 5", t.applied())
	require.Equal(t, "0", t.text("SELECT count(*) FROM schema_migrations_journal"))
}

// rowsAndSchema is the schema, and the rows of all tables.
func (b *bundle) rowsAndSchema() string {
	b.Helper()
	all := b.schema()
	for _, query := range []string{"SELECT * FROM c5", "SELECT * FROM base", "SELECT * FROM ledger"} {
		all += "\n" + b.text("SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM ("+query+") r")
	}
	return all
}

// stop runs Up so that it stops somewhere: at what is faulty, by a kill, by an end of its
// caller's patience, or by answers that are lost, after which it goes on by itself.
func (t *chainTrial) stop() {
	f := t.chain.files()
	switch t.random.IntN(5) {
	case 0:
		r := t.start(f.write(t.T))
		r.await(3 + t.random.IntN(20))
		r.kill()
		t.outcomes.add("stopped by a kill")
	case 1:
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		left := 3 + t.random.IntN(20)
		_, err := t.migrator(f, withScripts, hearing(func(whimbrel.Record) {
			if left--; left == 0 {
				cancel()
			}
		})).Up(ctx, whimbrel.UpOptions{})
		t.outcomes.add(fmt.Sprintf("stopped by its caller: %t", err != nil))
	default:
		change := t.losing()
		_, err := t.migrator(f, withScripts, change).Up(t.Context(), whimbrel.UpOptions{})
		var e *whimbrel.Error
		if beforeTheLease := errors.As(err, &e) && e.Code == whimbrel.CodeConnection; !beforeTheLease {
			require.Equal(t, t.chain.faulty >= 0, err != nil, "%v", err)
		}
		t.outcomes.add(fmt.Sprintf("stopped by an error: %t", err != nil))
	}
}

// finish ends the chain in one of the ways there are.
func (t *chainTrial) finish() {
	f := t.chain.files()
	unfinished, err := t.migrator(f, withScripts).Unfinished(t.Context())
	require.NoError(t, err)
	ways := []func(files){t.again, t.again}
	if t.chain.down != "" {
		ways = append(ways, t.downAndUp, t.downAndUp, t.downAndUp, t.redo)
	} else {
		ways = append(ways, t.forced)
	}
	if len(unfinished) > 0 {
		ways = append(ways, t.restarted, t.discarded)
	}
	ways[t.random.IntN(len(ways))](f)
	if t.random.IntN(4) == 0 && t.chain.down != "" { // and once more, from the complete state
		t.downAndUp(f)
	}
}

// does runs a command that may lose an answer. Before it has the lease, a run whose
// connection is lost ends, and is run again as its error says.
func (t *chainTrial) does(f files, command func(context.Context, *whimbrel.Migrator) error) error {
	err := command(t.Context(), t.migrator(f, withScripts, t.losing()))
	var e *whimbrel.Error
	if errors.As(err, &e) && e.Code == whimbrel.CodeConnection {
		t.outcomes.add("was run again")
		err = command(t.Context(), t.migrator(f, withScripts))
	}
	return err
}

func up(ctx context.Context, m *whimbrel.Migrator) error {
	_, err := m.Up(ctx, whimbrel.UpOptions{})
	return err
}

// recovers is a command that takes what is half done up, or forgets it.
func recovers(action whimbrel.Action) func(context.Context, *whimbrel.Migrator) error {
	return func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Recover(ctx, whimbrel.RecoverOptions{Version: "5", Action: action})
		return err
	}
}

// again runs Up, which goes on; where the text of what is done was corrected, by a recovery.
func (t *chainTrial) again(f files) {
	err := t.does(f, up)
	var e *whimbrel.Error
	if errors.As(err, &e) && e.Code == whimbrel.CodeJournal {
		t.outcomes.add("continued by a recovery")
		err = t.does(f, recovers(whimbrel.RecoverContinue))
	}
	require.NoError(t, err)
	t.outcomes.add("went on")
}

// downAndUp takes the chain down, which may be stopped as well, and up.
func (t *chainTrial) downAndUp(f files) {
	if len(t.text("SELECT coalesce(string_agg(version, ''), '') FROM schema_migrations_journal")) == 0 &&
		t.applied() == "1" {
		t.again(f) // nothing of it was begun
		return
	}
	if t.random.IntN(3) == 0 {
		t.stopDown(f)
	}
	if t.applied() == "1 5" || t.text("SELECT count(*) FROM schema_migrations_journal") != "0" {
		to := t.random.IntN(3) == 0
		require.NoError(t, t.does(f, func(ctx context.Context, m *whimbrel.Migrator) (err error) {
			if to {
				_, err = m.To(ctx, "1", whimbrel.ToOptions{})
			} else {
				_, err = m.Down(ctx, whimbrel.DownOptions{})
			}
			return err
		}))
	}
	require.Equal(t, "1", t.applied())
	require.Equal(t, "0", t.text("SELECT count(*) FROM schema_migrations_journal"))
	require.Equal(t, "true 0", t.text("SELECT (to_regclass('c5') IS NULL)::text || ' ' || (SELECT count(*) FROM ledger)"))
	require.NoError(t, t.does(f, up))
	t.outcomes.add("went down and up")
}

// stopDown stops a Down, and requires that nothing takes what is half-way down for applied.
func (t *chainTrial) stopDown(f files) {
	if t.random.IntN(3) == 0 {
		r := t.start(f.write(t.T), childCommand+"=down")
		r.await(2 + t.random.IntN(10))
		r.kill()
	} else {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		left := 2 + t.random.IntN(10)
		_, _ = t.migrator(f, withScripts, hearing(func(whimbrel.Record) {
			if left--; left == 0 {
				cancel()
			}
		})).Down(ctx, whimbrel.DownOptions{})
	}
	t.outcomes.add("stopped on its way down")
	// Until its session is gone, what it has sent may still be committed.
	t.eventually("SELECT count(*) = 0 FROM pg_stat_activity " +
		"WHERE datname = current_database() AND application_name LIKE 'whimbrel%'")
	if t.text("SELECT count(*) FROM schema_migrations_journal WHERE direction = 'down'") != "0" {
		_, err := t.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
		_ = fails(t, err, whimbrel.CodeUnfinished)
		t.outcomes.add("was half-way down")
	}
}

func (t *chainTrial) redo(f files) {
	if t.applied() == "1" && t.text("SELECT count(*) FROM schema_migrations_journal") == "0" {
		t.again(f)
		return
	}
	require.NoError(t, t.does(f, func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Redo(ctx, whimbrel.RedoOptions{})
		return err
	}))
	t.outcomes.add("was redone")
}

// forced un-records what is irreversible, and undoes it by hand.
func (t *chainTrial) forced(f files) {
	if t.applied() == "1" && t.text("SELECT count(*) FROM schema_migrations_journal") == "0" {
		t.again(f)
		return
	}
	_, err := t.migrator(f, withScripts).Down(t.Context(), whimbrel.DownOptions{})
	_ = fails(t, err, whimbrel.CodeIrreversible)
	require.NoError(t, t.does(f, func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{ForceNoDown: true})
		return err
	}))
	t.exec(t.chain.cleanUp)
	require.NoError(t, t.does(f, up))
	t.outcomes.add("was un-recorded and undone by hand")
}

// restarted undoes the chain by hand and restarts it.
func (t *chainTrial) restarted(f files) {
	t.exec(t.chain.cleanUp)
	require.NoError(t, t.does(f, recovers(whimbrel.RecoverRestart)))
	t.outcomes.add("was restarted")
}

// discarded undoes the chain by hand, discards what the journal has, and runs it.
func (t *chainTrial) discarded(f files) {
	t.exec(t.chain.cleanUp)
	require.NoError(t, t.does(f, recovers(whimbrel.RecoverDiscard)))
	require.NoError(t, t.does(f, up))
	t.outcomes.add("was discarded")
}

// losing makes a run lose one of the server's answers, once in a while: the server has
// done what it was asked for, and the connection ends before it can say so.
func (t *chainTrial) losing() func(*whimbrel.Config) {
	after := 2 + t.random.IntN(60)
	if t.random.IntN(3) > 0 {
		return func(*whimbrel.Config) {}
	}
	return losing(t.T, after, func() { t.outcomes.add("lost an answer") })
}

// losing makes a run lose one of the answers to its first connection, which does the
// work: the one after so many.
func losing(t *testing.T, after int, lost func()) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) {
		connection, err := pgx.ParseConfig(c.DatabaseURL)
		require.NoError(t, err)
		dial := connection.DialFunc
		var once sync.Once
		connection.DialFunc = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			conn, err = dial(ctx, network, address)
			once.Do(func() { conn = &losingConn{Conn: conn, left: after, lost: lost} })
			return conn, err
		}
		c.Connection = connection
	}
}

// losingConn ends in place of an answer: of the one after so many.
type losingConn struct {
	net.Conn
	mutex sync.Mutex
	left  int    // answers that come through
	head  []byte // of the message that is read
	skip  int    // bytes of its body that are still to come
	lost  func()
}

// Read implements net.Conn. An answer ends with ReadyForQuery; see "Message Formats" in
// PostgreSQL's documentation.
func (c *losingConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for rest := buffer[:n]; len(rest) > 0 && c.left > 0; {
		if c.skip > 0 {
			part := min(c.skip, len(rest))
			c.skip, rest = c.skip-part, rest[part:]
			continue
		}
		c.head, rest = append(c.head, rest[0]), rest[1:]
		if len(c.head) < 5 {
			continue
		}
		c.skip = int(c.head[1])<<24 | int(c.head[2])<<16 | int(c.head[3])<<8 | int(c.head[4]) - 4
		if c.head[0] == 'Z' {
			c.left--
		}
		c.head = nil
	}
	if c.left > 0 {
		return n, err
	}
	if c.lost != nil {
		c.lost()
		c.lost = nil
	}
	_ = c.Close()
	return 0, io.ErrUnexpectedEOF
}
