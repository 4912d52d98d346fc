package whimbrel

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// alone runs a statement that cannot be in a transaction. The journal says
// beforehand that it begins; recordAlone says that it is done. A crash in
// between is cleared up by asking the catalog, or by what the server says to a
// repetition.
func (r *run) alone(ctx context.Context, p Planned, s Step) (rows int64, err error) {
	conn, statement := r.db.conn.PgConn(), s.Statements[0]
	build, isBuild := indexBuild(statement)
	var others string
	if isBuild {
		if valid, err := r.repairIndex(ctx, p, s, build); err != nil || valid {
			return 0, err
		}
		if others, err = r.others(ctx, build); err != nil {
			return 0, err
		}
	}
	if rebuildsConcurrently(statement) {
		if s.Started {
			if err := r.dropCopies(ctx, p, s); err != nil {
				return 0, err
			}
		}
		if others, err = r.copies(ctx); err != nil {
			return 0, err
		}
	}
	if _, err := send(ctx, conn, append(append(r.opening(p), r.journalStep(p, s, "started", others)), r.sessionSettings(p)...)); err != nil {
		return 0, err
	}
	rows, err = r.sendAlone(ctx, statement.Text)
	if finalize, pending := pendingDetach(statement.Text, err); pending {
		rows, err = r.sendAlone(ctx, finalize)
	}
	if err == nil || s.Started && alreadyDone(statement.Command, err) {
		return rows, nil
	}
	r.cleanUp(p, s, build, isBuild, err)
	return 0, err
}

// sendAlone sends a statement that no fence protects, if by this machine's
// clock the lease is still ours.
func (r *run) sendAlone(ctx context.Context, text string) (int64, error) {
	if err := r.lease.held(); err != nil {
		return 0, err
	}
	return send(ctx, r.db.conn.PgConn(), message{{text: text}})
}

// recordAlone says in the journal, or in the history, that a statement outside
// a transaction is done.
func (r *run) recordAlone(ctx context.Context, p Planned, s Step, last bool, earlier Elapsed) error {
	ending := append(append(tidy(), r.opening(p)...), r.recording(p, s, last, earlier)...)
	_, err := send(ctx, r.db.conn.PgConn(), ending)
	return err
}

// sessionSettings are what an alone statement runs under. Its waiting makes
// nobody queue who reads or writes, so it may wait for its locks as long as it
// takes; settings of the file apply to it too. Behind a pooler a setting of the
// session would reach other clients, so there are none.
func (r *run) sessionSettings(p Planned) message {
	if r.db.facts.behindPool {
		return nil
	}
	calls := []string{r.setConfig("lock_timeout", "0", false)}
	if r.db.facts.Version >= 140000 && strings.Contains(r.db.facts.Platform, "linux") {
		// If we are killed, the server notices and ends the statement.
		calls = append(calls, r.setConfig("client_connection_check_interval", "1000", false))
	}
	for _, s := range p.Migration.Settings {
		calls = append(calls, r.setConfig(s.Name, s.Value, false))
	}
	return message{{text: "SELECT " + strings.Join(calls, ", "), statement: ours}}
}

// cleanUp puts the session back in order after a failed statement, removes the
// invalid index that a failed build leaves, and takes back that the step had
// begun where the server itself said that it came to nothing. It does its best;
// whatever it cannot do, the next attempt does.
func (r *run) cleanUp(p Planned, s Step, build build, isBuild bool, failed error) {
	if r.db.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	conn := r.db.conn.PgConn()
	_, _ = send(ctx, conn, append(tidy(), piece{text: "SELECT " + r.setApplicationName(), statement: ours}))
	var refused *pgconn.PgError
	if !errors.As(failed, &refused) {
		return // nobody knows what became of it
	}
	if isBuild && r.lease.held() == nil {
		if _, err := r.repairIndex(ctx, p, s, build); err != nil {
			return
		}
	}
	if rebuildsConcurrently(s.Statements[0]) && r.lease.held() == nil && r.dropCopies(ctx, p, s) != nil {
		return // the journal keeps what to look for
	}
	_, _ = send(ctx, conn, append(r.opening(p), r.forgetStep(p, s)))
}

// pendingDetach recognises an ALTER TABLE … DETACH PARTITION … CONCURRENTLY
// that an earlier attempt left half done, and gives the statement that ends it.
// See "DETACH PARTITION" in PostgreSQL's documentation of ALTER TABLE.
func pendingDetach(text string, err error) (finalize string, pending bool) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "55000" {
		return "", false
	}
	var detach, last pgsql.Token
	for token := range pgsql.Tokens(text) {
		if token.Kind == pgsql.Word && strings.EqualFold(token.Text, "DETACH") {
			detach = token
		}
		if token.Kind > pgsql.BlockComment {
			last = token
		}
	}
	if detach.Text == "" || !strings.EqualFold(last.Text, "CONCURRENTLY") {
		return "", false
	}
	return text[:last.Offset] + "FINALIZE", true
}

// alreadyDone reports whether the server refuses a repetition because the
// first time had worked: what is to be made is there, what is to be removed is
// not. It is only asked after a crash that left the outcome unknown.
func alreadyDone(command string, err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	const (
		undefinedTable    = "42P01" // also: is not a partition of that table
		undefinedObject   = "42704"
		undefinedDatabase = "3D000"
		duplicateDatabase = "42P04"
		duplicateObject   = "42710"
	)
	expected := map[string]string{
		"CREATE DATABASE": duplicateDatabase, "DROP DATABASE": undefinedDatabase,
		"CREATE TABLESPACE": duplicateObject, "DROP TABLESPACE": undefinedObject,
		"CREATE SUBSCRIPTION": duplicateObject, "DROP SUBSCRIPTION": undefinedObject,
		"DROP INDEX CONCURRENTLY": undefinedObject, "ALTER TABLE": undefinedTable,
	}
	return expected[command] == refused.Code
}
