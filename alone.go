package whimbrel

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// alone runs a statement that cannot be in a transaction. The journal says
// that it begins, before, and that it is done, after; a crash in between is
// cleared up by asking the catalog, or by what the server says to a repetition.
func (r *run) alone(ctx context.Context, p Planned, s Step, last bool, earlier Elapsed) (rows int64, err error) {
	conn := r.db.conn.PgConn()
	finish := func() error {
		ending := append(tidy(), r.opening(p)...)
		if last {
			ending = append(ending, r.closing(p, earlier)...)
		} else {
			ending = append(ending, r.journalStep(p, s, "done"))
		}
		_, err := send(ctx, conn, ending)
		if threwOurStatementsAway(err) { // the statement itself was a DISCARD ALL
			if err := r.prepareTemplates(ctx); err != nil {
				return err
			}
			_, err = send(ctx, conn, ending)
		}
		return err
	}
	if s.Done {
		return 0, finish()
	}
	build, isBuild := indexBuild(s.Statements[0])
	if isBuild {
		valid, err := r.repairIndex(ctx, p, s, build)
		if err != nil {
			return 0, err
		}
		if valid {
			return 0, finish()
		}
	}
	if _, err := send(ctx, conn, append(append(r.opening(p), r.journalStep(p, s, "started")), r.sessionSettings(p)...)); err != nil {
		return 0, err
	}
	if err := r.lease.held(); err != nil {
		return 0, err
	}
	rows, err = send(ctx, conn, message{{s.Statements[0].Text, 0}})
	if finalize, pending := pendingDetach(s.Statements[0].Text, err); pending {
		rows, err = send(ctx, conn, message{{finalize, 0}})
	}
	if err != nil && !(s.Started && alreadyDone(err)) {
		r.cleanUp(p, s, build, isBuild)
		return 0, err
	}
	return rows, finish()
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
	return message{{"SELECT " + strings.Join(calls, ", "), ours}}
}

// cleanUp puts the session back in order after a failed statement and removes
// the invalid index that a failed build leaves. It does its best; whatever it
// cannot do, the next attempt does.
func (r *run) cleanUp(p Planned, s Step, build build, isBuild bool) {
	if r.db.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = send(ctx, r.db.conn.PgConn(), append(tidy(), piece{"SELECT " + r.setApplicationName(), ours}))
	if isBuild && r.lease.held() == nil {
		_, _ = r.repairIndex(ctx, p, s, build)
	}
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
func alreadyDone(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && slices.Contains([]string{
		"42P04", // duplicate_database
		"42710", // duplicate_object: tablespace, subscription
		"3D000", // the database to drop is gone
		"42P01", // the partition to detach is none any more
		"42704", // undefined_object: the index, tablespace or subscription to drop is gone
	}, refused.Code)
}
