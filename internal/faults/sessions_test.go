//go:build linux

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/migration"
)

// What changes how many random session files are run: in one go, stopped and resumed,
// and through a pooler.
const (
	sessionsEnvironment = "FAULTS_SESSIONS" // in place of 100
	resumedEnvironment  = "FAULTS_RESUMED"  // in place of 100
	pooledEnvironment   = "FAULTS_POOLED"   // in place of 40
)

func howMany(t *testing.T, environment string, otherwise int) int {
	t.Helper()
	text := os.Getenv(environment)
	if text == "" {
		return otherwise
	}
	count, err := strconv.Atoi(text)
	require.NoError(t, err)
	return count
}

// place is two databases in which one file after the other is run: by whimbrel, and by
// psql.
type place struct{ ours, theirs *bundle }

// inPlaces runs trials of random session files, a few at a time.
func inPlaces(t *testing.T, count int, trial func(t *sessionTrial)) {
	t.Helper()
	sessionRoles(t)
	free := make(chan place, 4)
	for range cap(free) {
		free <- place{setup(t), setup(t)}
	}
	var outcomes tally
	t.Run("files", func(t *testing.T) {
		for number := range count {
			t.Run(fmt.Sprint(number), func(t *testing.T) {
				t.Parallel()
				p := <-free
				defer func() { free <- p }()
				random := rand.New(rand.NewPCG(seed, uint64(number)))
				s := &sessionTrial{T: t, random: random, outcomes: &outcomes, ours: p.ours.of(t), theirs: p.theirs.of(t),
					file: randomSessionFile(random)}
				t.Logf("FAULTS_SEED=%d\n%s", seed, s.file.text(-1))
				s.prepare()
				trial(s)
			})
		}
	})
	t.Logf("FAULTS_SEED=%d, %d session files: %v", seed, count, outcomes.counts)
}

var sessionRolesOnce sync.Once

// sessionRoles makes the roles of session files, in the server of this process.
func sessionRoles(t *testing.T) {
	t.Helper()
	sessionRolesOnce.Do(func() {
		setup(t).exec("CREATE ROLE session_a; CREATE ROLE session_b; GRANT session_b TO session_a")
	})
}

// of is the same database for another test.
func (b *bundle) of(t *testing.T) *bundle {
	return &bundle{T: t, server: b.server, url: b.url, name: b.name, conn: b.conn}
}

// renew puts the database back to what session files are built upon.
func (b *bundle) renew() {
	b.Helper()
	b.exec("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept;" + sessionBase)
}

// inKept keeps the history where a new beginning of the rest leaves it.
func inKept(c *whimbrel.Config) { c.Table = "kept.schema_migrations" }

// sessionTrial is one random session file.
type sessionTrial struct {
	*testing.T
	random       *rand.Rand
	outcomes     *tally
	ours, theirs *bundle
	file         *sessionFile
}

// files are the session file, and one behind it, on which nothing of it must have an effect.
func (t *sessionTrial) files(faulty int) files {
	f := files{"5_session.sql": t.file.text(faulty)}
	if !t.file.down {
		f["6_after.sql"] = "SELECT public.note(0); INSERT INTO mark VALUES (0);"
	}
	return f
}

// run takes the file in its direction: up, with the one behind it, or down.
func (t *sessionTrial) run(ctx context.Context, faulty int, change ...func(*whimbrel.Config)) error {
	t.Helper()
	change = append([]func(*whimbrel.Config){inKept, t.hooked}, change...)
	m := t.ours.migrator(t.files(faulty), change...)
	if !t.file.down {
		_, err := m.Up(ctx, whimbrel.UpOptions{})
		return err
	}
	status, err := m.Status(ctx)
	require.NoError(t, err)
	if len(status.Applied) == 0 {
		return nil // an earlier run has been there
	}
	_, err = m.Down(ctx, whimbrel.DownOptions{})
	return err
}

// hooked gives a configuration the hook of the file.
func (t *sessionTrial) hooked(c *whimbrel.Config) {
	if t.file.hook != "" {
		hook, err := migration.ParseHook("hooks/before_each.sql", t.file.hook)
		require.NoError(t, err)
		c.Hooks.BeforeEach = &hook
	}
}

// prepare applies what is to be taken down.
func (t *sessionTrial) prepare() {
	t.ours.renew()
	t.theirs.renew()
	if t.file.down {
		require.NoError(t, t.ours.up(t.files(-1), inKept))
	}
}

// byPsql is what psql makes of the files, each in a session of its own, and whether it
// fails.
func (t *sessionTrial) byPsql() (state []string, failed bool) {
	t.Helper()
	text := ""
	for _, m := range t.files(-1).load(t) {
		if !t.file.down {
			text += "\\connect -\n" + t.file.script(m, m.Up)
		} else if m.Version == "5" {
			text = t.file.script(m, m.Down)
		}
	}
	psql := exec.CommandContext(t.Context(), sessionPsql(t), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1",
		"--file", "-", "--dbname", t.theirs.url)
	psql.Stdin = strings.NewReader(text)
	out, err := psql.CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", out)
		require.Equal(t, 3, exit.ExitCode(), "%s", out)
		t.Logf("psql: %s", out)
	}
	return t.theirs.sessionState(), err != nil
}

// sessionPsql is the server's own: that on PATH may be a wrapper, which takes its time.
func sessionPsql(t *sessionTrial) string {
	t.Helper()
	own := filepath.Join(server.Version().Dir, "psql")
	if _, err := os.Stat(own); err == nil {
		return own
	}
	found, err := faults.Program(t.Context(), "psql", "postgresql-client")
	require.NoError(t, err)
	return found
}

// sessionState is a line for every relation, with its owner, and every row.
func (b *bundle) sessionState() []string {
	b.Helper()
	rows, err := b.conn.Query(b.Context(),
		`SELECT concat_ws(' ', c.relkind, c.oid::regclass, c.relowner::regrole, pg_get_indexdef(i.indexrelid), i.indisvalid),
		CASE WHEN c.relkind = 'r' THEN format('SELECT %L || r::text FROM %s r', c.oid::regclass || ': ', c.oid::regclass) ELSE '' END
		FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
		WHERE c.relnamespace IN ('a'::regnamespace, 'b'::regnamespace, 'public'::regnamespace) ORDER BY 1`,
		pgx.QueryExecModeSimpleProtocol)
	require.NoError(b, err)
	var all, queries []string
	var relation, query string
	_, err = pgx.ForEachRow(rows, []any{&relation, &query}, func() error {
		if all = append(all, relation); query != "" {
			queries = append(queries, query)
		}
		return nil
	})
	require.NoError(b, err)
	results, err := b.conn.PgConn().Exec(b.Context(), strings.Join(queries, " UNION ALL ")).ReadAll()
	require.NoError(b, err)
	for _, row := range results[0].Rows {
		all = append(all, string(row[0]))
	}
	slices.Sort(all)
	return all
}

// same requires two databases to be the same, and shows only what differs.
func (t *sessionTrial) same(want, got []string) {
	t.Helper()
	var differ []string
	for _, line := range want {
		if !slices.Contains(got, line) {
			differ = append(differ, "psql:     "+line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			differ = append(differ, "whimbrel: "+line)
		}
	}
	require.Empty(t, strings.Join(differ, "\n"))
	require.Len(t, got, len(want))
}

// TestASessionFileDoesWhatPsqlDoes runs random files that set up their session, and
// compares schema, owners and rows with what psql makes of the same statements.
func TestASessionFileDoesWhatPsqlDoes(t *testing.T) {
	t.Parallel()
	inPlaces(t, howMany(t, sessionsEnvironment, 100), func(t *sessionTrial) {
		want, failed := t.byPsql()
		err := t.run(t.Context(), -1)
		require.Equal(t, failed, err != nil, "%v", err)
		t.same(want, t.ours.sessionState())
		t.outcomes.add(map[bool]string{true: "failed as in psql", false: "did what psql did"}[failed])
	})
}

// TestASessionFileThatWasStoppedGoesOnInItsSession stops random session files at a random
// place, and runs them on: what comes of it is what psql makes of the file, or the run says
// what of the session cannot be had again.
func TestASessionFileThatWasStoppedGoesOnInItsSession(t *testing.T) {
	t.Parallel()
	inPlaces(t, howMany(t, resumedEnvironment, 100), func(t *sessionTrial) {
		want, failed := t.byPsql()
		t.stop()
		err := t.run(t.Context(), -1)
		if t.cannotGoOn(err) {
			t.outcomes.add("said what cannot be had again")
			t.ours.exec(sessionBase)
			_, err = t.ours.migrator(t.files(-1), inKept, t.hooked).Recover(t.Context(), whimbrel.RecoverOptions{Version: "5",
				Action: whimbrel.RecoverRestart})
			if err == nil {
				err = t.run(t.Context(), -1)
			}
		}
		require.Equal(t, failed, err != nil, "%v", err)
		t.same(want, t.ours.sessionState())
		t.outcomes.add(map[bool]string{true: "failed as in psql", false: "did what psql did"}[failed])
	})
}

// stop runs the file so that it stops somewhere, or loses its connection.
func (t *sessionTrial) stop() {
	events := 2 + t.random.IntN(40)
	way := t.random.IntN(5)
	if way == 0 && t.file.hook != "" { // which that process does not know
		way = 1
	}
	switch way {
	case 0:
		r := t.ours.start(t.files(-1).write(t.T), childTable+"=kept.schema_migrations",
			childCommand+"="+map[bool]string{true: "down", false: "up"}[t.file.down])
		r.await(events)
		r.kill()
		t.outcomes.add("was killed")
	case 1:
		_ = t.run(t.Context(), -1, hearing(t.after(events, func() {
			t.ours.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND " +
				"application_name LIKE 'whimbrel/%'")
			t.outcomes.add("lost its connection")
		})))
	case 2:
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = t.run(ctx, -1, hearing(t.after(events, func() {
			cancel()
			t.outcomes.add("was stopped by its caller")
		})))
	default:
		faulty := t.file.head + t.random.IntN(len(t.file.parts)-t.file.head+1)
		require.Error(t, t.run(t.Context(), faulty))
		t.outcomes.add("was stopped by an error")
	}
}

// after does something at one of the events.
func (t *sessionTrial) after(events int, do func()) whimbrel.Listener {
	var once sync.Once
	var count atomic.Int64
	return func(whimbrel.Record) {
		if count.Add(1) == int64(events) {
			once.Do(do)
		}
	}
}

// cannotGoOn reports whether a run has said what of the session cannot be had again, which
// may only be where the file has such a thing.
func (t *sessionTrial) cannotGoOn(err error) bool {
	var e *whimbrel.Error
	if !errors.As(err, &e) || !t.file.unexplained {
		return false
	}
	lost := e.Code == whimbrel.CodeJournal && strings.Contains(e.Message, "that session is gone")
	return lost || e.SQLState == "26000" // a prepared statement
}

// TestASessionFileBehindAPoolerDoesWhatPsqlDoesOrIsRefused runs random session files through
// PgBouncer, which gives the server's connections to others between two transactions.
func TestASessionFileBehindAPoolerDoesWhatPsqlDoesOrIsRefused(t *testing.T) {
	t.Parallel()
	pool, err := faults.StartBouncer(t.Context(), server, faults.TransactionMode, pooledConnections)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Stop()) })
	inPlaces(t, howMany(t, pooledEnvironment, 40), func(t *sessionTrial) {
		want, failed := t.byPsql()
		err := t.run(t.Context(), -1, through(pool.URL(t.ours.name)))
		t.nothingLeaks(pool)
		var e *whimbrel.Error
		if errors.As(err, &e) && e.Code == whimbrel.CodeUnsupported {
			require.Contains(t, e.Message, "behind a transaction pooler")
			require.Positive(t, e.Line, e.Message)
			require.NotEmpty(t, e.Remedy)
			t.outcomes.add("refused")
			return
		}
		require.Equal(t, failed, err != nil, "%v", err)
		t.same(want, t.ours.sessionState())
		t.outcomes.add(map[bool]string{true: "failed as in psql", false: "did what psql did"}[failed])
	})
}

// pooledConnections are those of the pooler to each database.
const pooledConnections = 3

// nothingLeaks looks at all of the pooler's connections as other clients would.
func (t *sessionTrial) nothingLeaks(pool *faults.Bouncer) {
	t.Helper()
	const query = `SELECT public.facts() || current_setting('lock_timeout') || (SELECT count(*) FROM pg_prepared_statements) || (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())`
	var want string
	fresh, err := pgx.Connect(t.Context(), t.theirs.url+"&default_query_exec_mode=simple_protocol")
	require.NoError(t, err)
	defer func() { _ = fresh.Close(context.Background()) }()
	require.NoError(t, fresh.QueryRow(t.Context(), query).Scan(&want))
	pids := map[string]bool{}
	for range pooledConnections { // each holds one of them
		conn, err := pgx.Connect(t.Context(), pool.URL(t.ours.name)+"&default_query_exec_mode=simple_protocol")
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		var pid, got string
		_, err = conn.Exec(t.Context(), "BEGIN")
		require.NoError(t, err)
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()::text").Scan(&pid))
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&got))
		require.Equal(t, want, got)
		pids[pid] = true
	}
	require.Len(t, pids, pooledConnections)
}

func TestWhatCannotHoldBehindAPoolerIsRefusedAtItsLine(t *testing.T) {
	t.Parallel()
	b, pool := setup(t), bouncer(t, faults.TransactionMode)
	b.exec("CREATE TABLE a (id int PRIMARY KEY)")
	const build = "CREATE INDEX CONCURRENTLY a_id ON a (id);\n"
	for text, want := range map[string]string{
		"SET search_path = b;\n" + build: "2: CREATE " +
			"INDEX CONCURRENTLY runs outside a transaction, and search_path cannot be set for it",
		build + "CREATE TEMP TABLE kept (n int);\n" + "VACUUM a;\nSELECT * FROM kept;": "4: \"kept\" " +
			"was made for the session by step 2",
		build + "PREPARE kept AS SELECT 1;\n" + "VACUUM a;\nEXECUTE kept;": "4: \"kept\" " +
			"was made for the session by step 2",
		build + "SELECT 1, set_config('app.tenant', 'x', false);\n" +
			"VACUUM a;": "2: what this sets for the session is gone with its transaction",
		build + "SET default_transaction_isolation = 'serializable';\nSELECT 1;\n" +
			"VACUUM a;": "2: default_transaction_isolation would have to be set before each transaction begins",
		build + "SELECT set_config('app.a', 'x', true), set_config('app.b', 'x', false);\nVACUUM a;": "2: this " +
			"cannot be repeated",
		"-- +migrate Up notransaction\nSELECT 1;\nDO $$ BEGIN\n\tSET TimeZone = 'Asia/Tokyo'; END $$": "3: what this " +
			"sets for the session is gone",
		"-- +migrate Set search_path = 'b'\n" + build: "2: CREATE " +
			"INDEX CONCURRENTLY runs outside a transaction, and search_path cannot be set for it",
		build + "DO $$ BEGIN PERFORM set_config('work_mem', '5MB', current_user = 'x'); END $$;\nVACUUM a": "2: what this " +
			"sets for the session is gone",
	} {
		e := fails(t, b.up(files{"1_a.sql": text}, through(pool.URL(b.name))), whimbrel.CodeUnsupported)
		require.Contains(t, strings.Replace(fmt.Sprintf("%d: %s", e.Line, e.Message), "behind a transaction pooler ", "", 1),
			want, text)
		require.NotContains(t, b.heard(), "migration_started", "nothing has begun")
	}
}
