package devdb

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// CreateDatabase creates a database as a copy of template; "" is PostgreSQL's own choice, template1. Nobody may be
// connected to the template meanwhile.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	if err := s.cluster.createDatabase(ctx, name, template); err != nil || !s.Lent() {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.made = append(s.made, name)
	return nil
}

// dropPatience is how long it may take to drop a database that nobody needs any more.
const dropPatience = 10 * time.Second

// DropDatabase removes a database, after ending all sessions in it. A database that does not exist is no error.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	return s.cluster.dropDatabase(ctx, name)
}

// FreshDatabase creates an empty database with a name of its own. drop removes it again; who stops the server anyway
// need not call it.
func (s *Server) FreshDatabase(ctx context.Context) (url string, drop func(), err error) {
	name := "fresh_" + strings.ToLower(rand.Text()[:12])
	if s.Lent() { // where others see it
		name = "whimbrel_" + name
	}
	// template0 takes no connections, and so can always be copied
	if err := s.CreateDatabase(ctx, name, "template0"); err != nil {
		return "", nil, err
	}
	drop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
		defer cancel()
		_ = s.DropDatabase(ctx, name) // it goes with the server anyway
	}
	return s.URL(name), drop, nil
}

// createDatabase copies files rather than writing all pages to the log, where there is the choice and the two
// checkpoints that this takes cost nothing; see https://www.postgresql.org/docs/current/sql-createdatabase.html.
func (c cluster) createDatabase(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		sql += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if c.volatile && c.in.Major >= 15 {
		sql += " STRATEGY file_copy"
	}
	if err := c.execute(ctx, sql); err != nil {
		return fmt.Errorf("creating the database %s: %w", name, err)
	}
	return nil
}

func (c cluster) dropDatabase(ctx context.Context, name string) error {
	if err := c.execute(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("dropping the database %s: %w", name, err)
	}
	return nil
}
