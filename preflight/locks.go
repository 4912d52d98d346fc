package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Sessions are the details of table_locks.
type Sessions struct {
	// Limit is the age that was allowed.
	Limit time.Duration `json:"limit_ms"`
	// Old are the sessions and prepared transactions that were older, the oldest first.
	Old []Session `json:"old"`
	// Holders are others that hold locks on tables of what is pending.
	Holders []Session `json:"holders"`
}

// MarshalJSON writes durations in milliseconds.
func (s Sessions) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Sessions) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, s) }

// Session is a session of this database, or a prepared transaction, whose PID is 0.
type Session struct {
	PID         int    `json:"pid,omitempty"`
	Prepared    string `json:"prepared,omitempty"` // its global identifier
	Application string `json:"application,omitempty"`
	User        string `json:"user"`
	Client      string `json:"client,omitempty"`
	// State is pg_stat_activity's, or "prepared"; "" where it cannot be seen.
	State string `json:"state,omitempty"`
	// Transaction is how long the transaction has been open, Running how long the
	// query has; 0 where there is none or it cannot be seen.
	Transaction time.Duration `json:"transaction_ms"`
	Running     time.Duration `json:"query_ms"`
	Query       string        `json:"query,omitempty"`
	// Locks are those on tables of what is pending: "AccessShareLock on public.users".
	Locks []string `json:"locks,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (s Session) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Session) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, s) }

// Lines gives a line for each session, and what to know about it.
func (s Sessions) Lines() []string {
	var out []string
	for _, session := range s.Old {
		out = append(out, session.String())
	}
	for _, session := range s.Holders {
		out = append(out, "holds a lock: "+session.String())
	}
	return out
}

func (s Session) String() string {
	who := fmt.Sprintf("pid %d", s.PID)
	if s.Prepared != "" {
		who = fmt.Sprintf("prepared transaction %q", s.Prepared)
	}
	if s.Application != "" {
		who += " " + s.Application
	}
	text := fmt.Sprintf("%s (%s)", who, s.User)
	if s.State != "" {
		text += fmt.Sprintf(", %s, transaction open for %s", s.State, present.Duration(s.Transaction))
	}
	if s.Running > 0 {
		text += fmt.Sprintf(", query running for %s", present.Duration(s.Running))
	}
	if s.Query != "" {
		text += ": " + present.OneLine(s.Query, 100)
	}
	if len(s.Locks) > 0 {
		text += "; " + present.List(s.Locks, 5)
	}
	return text
}

// activity is what pg_stat_activity and pg_prepared_xacts tell.
type activity struct {
	PID                                     int
	Prepared, Application, Username, Client string
	State, Query, Kind                      string
	Transaction, Running                    float64 // in seconds
	Hidden                                  bool    // the role may not see what it does
	Holder                                  string  // by which pg_locks knows it
}

// held is a lock on one of the tables in question.
type held struct {
	Holder   string
	Relation uint32
	Mode     string
	Granted  bool
}

func lookLocks(ctx context.Context, v *visit) (finding, error) {
	var sessions []activity
	var locks []held
	err := v.read(ctx, func(tx pgx.Tx) error {
		var err error
		if sessions, err = ask[activity](ctx, tx, activityQuery); err != nil {
			return err
		}
		tables := v.pending.tables()
		if len(tables) == 0 {
			return nil
		}
		locks, err = ask[held](ctx, tx, `
WITH prepared AS MATERIALIZED ( -- have no pid; the lock on its own id tells which one it is
	SELECT virtualtransaction, min(transactionid::text) AS transaction FROM pg_catalog.pg_locks WHERE pid IS NULL AND locktype = 'transactionid' AND granted GROUP BY 1
)
SELECT coalesce(l.pid::text, p.transaction, '') AS holder, l.relation, l.mode, l.granted
FROM pg_catalog.pg_locks l LEFT JOIN prepared p ON l.pid IS NULL AND p.virtualtransaction = l.virtualtransaction
WHERE l.locktype = 'relation' AND l.relation = ANY ($1) AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
	AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`, tables)
		return err
	})
	if err != nil {
		return finding{}, err
	}
	f := judgeLocks(sessions, locks, v.pending.names(), v.options.Settings.MaxTransactionAge)
	f.unseen = append(f.unseen, v.pending.unseen...)
	return f, nil
}

// activityQuery lists who is at work in this database. Processes of the server's
// own have no transaction, or one that backs off; an autovacuum against wraparound
// does not.
const activityQuery = `
SELECT a.pid, '' AS prepared, coalesce(a.application_name, '') AS application, coalesce(a.usename, a.backend_type, 'unknown')::text AS username,
	coalesce(a.client_addr::text, '') AS client, coalesce(a.state, '') AS state, coalesce(a.query, '') AS query, coalesce(a.backend_type, '') AS kind,
	coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0)::float8 AS transaction,
	CASE WHEN a.state = 'active' THEN coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start), 0) ELSE 0 END::float8 AS running,
	(a.query = '<insufficient privilege>' AND a.usesysid IS NOT NULL) IS TRUE AS hidden, a.pid::text AS holder
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'parallel worker'
UNION ALL
SELECT 0, p.gid, '', p.owner::text, '', 'prepared', '', 'prepared transaction',
	extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::float8, 0, false, p.transaction::text
FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database()`

// judgeLocks passes where nothing has been open for longer than the limit.
func judgeLocks(sessions []activity, locks []held, tables map[uint32]string, limit time.Duration) finding {
	details := Sessions{Limit: limit, Old: []Session{}, Holders: []Session{}}
	hidden := 0
	for _, a := range sessions {
		session := a.session(locks, tables)
		plainVacuum := a.Kind == "autovacuum worker" && !strings.Contains(a.Query, "to prevent wraparound")
		old := !plainVacuum && (session.Transaction > limit || session.Running > limit &&
			session.Transaction > 0)
		switch {
		case old:
			details.Old = append(details.Old, session)
		case len(session.Locks) > 0 && !plainVacuum:
			details.Holders = append(details.Holders, session)
		}
		if a.Hidden {
			hidden++
		}
	}
	oldest := func(a, b Session) int { return int(b.Transaction/1e3) - int(a.Transaction/1e3) }
	slices.SortStableFunc(details.Old, oldest)
	slices.SortStableFunc(details.Holders, oldest)
	f := finding{details: details, passed: len(details.Old) == 0}
	if hidden > 0 {
		f.unseen = append(f.unseen, fmt.Sprintf("what %s of other roles do", present.Plural(hidden, "session")))
	}
	switch {
	case len(details.Old) > 0:
		f.message = fmt.Sprintf("%s open for more than %s", present.Plural(len(details.Old), "transaction"),
			present.Duration(limit))
		f.remedy = "wait until they end, or end them: SELECT pg_terminate_backend(pid), and COMMIT PREPARED or ROLLBACK " +
			"PREPARED for prepared ones"
	case hidden > 0:
		f.unknown = true
		f.message = fmt.Sprintf("nothing is open for more than %s among the sessions that the role can see",
			present.Duration(limit))
		f.remedy = "grant the role pg_read_all_stats or pg_monitor"
	default:
		f.message = fmt.Sprintf("nothing is open for more than %s", present.Duration(limit))
	}
	if n := len(details.Holders); n > 0 {
		f.message += fmt.Sprintf("; %s locks on tables of what is pending", either(n, "1 session holds", "%d sessions hold"))
	}
	return f
}

func (a activity) session(locks []held, tables map[uint32]string) Session {
	s := Session{
		PID: a.PID, Prepared: a.Prepared, Application: a.Application, User: a.Username, Client: a.Client, State: a.State,
		Query:       a.Query,
		Transaction: duration(a.Transaction), Running: duration(a.Running),
	}
	if a.Hidden {
		s.Query = ""
	}
	for _, l := range locks {
		if l.Holder != a.Holder {
			continue
		}
		text := l.Mode + " on " + tables[l.Relation]
		if !l.Granted {
			text = "waits for " + text
		}
		if !slices.Contains(s.Locks, text) {
			s.Locks = append(s.Locks, text)
		}
	}
	slices.Sort(s.Locks)
	return s
}
