package main

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
)

// trips counts the round trips of a call, on the connection that it opens first
// and after that was established: how often it waits for an answer to something
// that it has sent. What runs beside it on other connections is not waited for.
func trips(call func(context.Context, *whimbrel.Migrator) error) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return 0, err
		}
		var first atomic.Pointer[counted]
		dial := config.DialFunc
		config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			c := &counted{Conn: conn}
			first.CompareAndSwap(nil, c)
			return c, nil
		}
		config.AfterConnect = func(_ context.Context, conn *pgconn.PgConn) error {
			if c, ok := conn.Conn().(*counted); ok {
				c.answers.Store(0)
			}
			return nil
		}
		m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{Connection: config},
			Project: whimbrel.Project{Migrations: h.migrations}})
		if err != nil {
			return 0, err
		}
		err = call(ctx, m)
		return float64(first.Load().answers.Load()), err
	}
}

// counted is a connection that counts how often an answer came to something
// that was sent.
type counted struct {
	net.Conn
	sent    atomic.Bool
	answers atomic.Int64
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (int, error) {
	c.sent.Store(true)
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.sent.Swap(false) {
		c.answers.Add(1)
	}
	return n, err
}
