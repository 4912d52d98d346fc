package stall

import (
	"context"
	_ "embed"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// queue is what is around one session at work.
type queue struct {
	Sight
	worker  int  // its pid
	waiting bool // whether it is itself waiting for a lock
}

// server is what a Monitor asks of PostgreSQL.
type server interface {
	// queues gives those around the sessions of a name; most are empty and omitted.
	queues(ctx context.Context, worker string) ([]queue, error)
	cancel(ctx context.Context, pid int, worker string)
	close()
}

// connection is a server that is asked over a connection.
type connection struct {
	*pgx.Conn
	query, own string
}

//go:embed queue.sql
var queueQuery string

// connect opens a connection and prepares the question: to plan it takes six times
// as long as to answer it, and it is asked again and again while live traffic needs
// the processors. A pooler may give each question to another session.
func (c Config) connect(ctx context.Context) (server, error) {
	conn, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !c.Pooled {
		if prepared, err := conn.Prepare(ctx, "whimbrel_queues", queueQuery); err == nil {
			return connection{conn, prepared.Name, c.Name}, nil
		}
	}
	return connection{conn, queueQuery, c.Name}, nil
}

func (c connection) close() { dial.Close(c.Conn) }

func (c connection) queues(ctx context.Context, worker string) (queues []queue, err error) {
	rows, _ := c.Query(ctx, c.query, worker, c.own) // its error comes with the rows
	var next queue
	var ahead bool
	var s Session
	_, err = pgx.ForEachRow(rows, []any{&next.worker, &next.waiting, &ahead, &s.PID, &s.Application, &s.User, &s.State,
		&s.Query, &s.Age}, func() error {
		if n := len(queues); n == 0 || queues[n-1].worker != next.worker {
			queues = append(queues, next)
		}
		q := &queues[len(queues)-1]
		if ahead {
			q.Ahead = append(q.Ahead, s)
		} else {
			q.Behind = append(q.Behind, s)
		}
		return nil
	})
	return queues, err
}

// cancel asks for the name again: behind a pooler the session may be another client's by now.
func (c connection) cancel(ctx context.Context, pid int, worker string) {
	_, _ = c.Exec(ctx, `SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
		WHERE pid = $1 AND application_name = $2 AND state = 'active'`, pid, worker)
}
