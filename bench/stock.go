package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// stock is a server with a database full of users, of which every measurement
// gets a copy. It is started when it is first needed.
type stock struct {
	name    string
	options devdb.Options
	server  *devdb.Server
}

// stocks are the servers of the third table. The fast one shows what is not the
// disk's doing. In both, memory and WAL are as PostgreSQL sets them.
func stocks() []*stock {
	return []*stock{
		{name: "fast", options: devdb.Options{Settings: map[string]string{"shared_buffers": "128MB", "max_wal_size": "1GB"}}},
		{name: "durable", options: devdb.Options{Durable: true, Settings: map[string]string{"max_wal_size": "1GB"}}},
	}
}

// usersSchema makes the users, and the table that is to be filled. The document
// is of the size that an application's settings have.
const usersSchema = `
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, settings jsonb NOT NULL, balance bigint NOT NULL DEFAULT 0);
INSERT INTO users SELECT n, 'user' || n || '@example.com', jsonb_build_object(
	'theme', (ARRAY['dark', 'light', 'system'])[1 + n %% 3], 'language', (ARRAY['en', 'de', 'fr', 'es'])[1 + n %% 4],
	'newsletter', n %% 2 = 0, 'page_size', 10 + n %% 5 * 10, 'timezone', 'Europe/Berlin', 'recent', jsonb_build_array('report ' || n, 'board', 'inbox'))
FROM generate_series(1, %d) n;
CREATE TABLE preferences (
	user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE, theme text NOT NULL, language text NOT NULL,
	newsletter boolean NOT NULL, page_size integer NOT NULL, timezone text);
`

const fullDatabase = "users"

// open starts the server and fills its database.
func (s *stock) open(ctx context.Context, users int) error {
	if s.server != nil {
		return nil
	}
	server, err := devdb.Start(ctx, s.options)
	if err != nil {
		return err
	}
	s.server = server
	if err := server.CreateDatabase(ctx, fullDatabase, "template0"); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, server.URL(fullDatabase))
	if err != nil {
		return err
	}
	for _, sql := range []string{fmt.Sprintf(usersSchema, users), "VACUUM ANALYZE"} {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return errors.Join(fmt.Errorf("filling a database with users: %w", err), conn.Close(ctx))
		}
	}
	return conn.Close(ctx)
}

// close stops the server, if it runs. A later measurement starts it again.
func (s *stock) close() error {
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	return server.Stop()
}

// settings says how the server is set, as far as it matters to backfills.
func (s *stock) settings(ctx context.Context) (string, error) {
	var all []string
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "wal_level", "max_wal_size",
		"shared_buffers", "autovacuum"} {
		var value string
		if err := ask(ctx, s.server.URL("postgres"), "SELECT current_setting('"+name+"')", &value); err != nil {
			return "", err
		}
		all = append(all, name+" "+value)
	}
	return s.name + " server: " + strings.Join(all, ", "), nil
}

// onUsers is a side that works on a copy of a database of users.
func (l *lab) onUsers(name string, users int, on *stock, do work) *side {
	return &side{name, func(ctx context.Context) (figure float64, err error) {
		if err := on.open(ctx, users); err != nil {
			return 0, err
		}
		const copied = fullDatabase + "_copy"
		if err := on.server.CreateDatabase(ctx, copied, fullDatabase); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, on.server.DropDatabase(context.WithoutCancel(ctx), copied)) }()
		conn, err := pgx.Connect(ctx, on.server.URL(copied))
		if err != nil {
			return 0, err
		}
		_, err = conn.Exec(ctx, "CHECKPOINT") // what the copying wrote is not to be somebody's work
		if err = errors.Join(err, conn.Close(ctx)); err != nil {
			return 0, err
		}
		return do(ctx, on.server.URL(copied), history{})
	}}
}
