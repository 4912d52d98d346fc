//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// Replica is a streaming replica, which can only be read.
type Replica struct {
	primary *devdb.Server
	folder  string
	process *process
}

// StartReplica copies a server and starts a replica that follows it; it returns
// when the replica answers. The server needs the settings wal_level=replica,
// some max_wal_senders, and a wal_keep_size for what happens meanwhile. It ends
// with Stop, or with this process, whose sudden death leaves a folder in /tmp. See
// https://www.postgresql.org/docs/current/warm-standby.html.
func StartReplica(ctx context.Context, primary *devdb.Server) (*Replica, error) {
	as, err := ownerOf(primary.DataDir())
	if err != nil {
		return nil, err
	}
	folder, err := as.folder()
	if err != nil {
		return nil, err
	}
	r := &Replica{primary: primary, folder: folder}
	if err := r.start(ctx, as); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a replica: %w", err), os.RemoveAll(folder))
	}
	return r, nil
}

func (r *Replica) start(ctx context.Context, as account) error {
	programs, data := r.primary.Version().Dir, filepath.Join(r.folder, "data")
	err := run(exec.CommandContext(ctx, filepath.Join(programs, "pg_basebackup"),
		"--dbname", r.primary.URL("postgres"), "--pgdata", data, "--write-recovery-conf",
		"--create-slot", "--slot", filepath.Base(r.folder), "--checkpoint", "fast", "--no-sync"), as)
	if err != nil {
		return err
	}
	r.process, err = launch(exec.Command(filepath.Join(programs, "postgres"), "-D", data, "-p", strconv.Itoa(replicaPort),
		"-c", "unix_socket_directories="+r.folder, "-c", "unix_socket_permissions=0700", "-c", "listen_addresses=", "-c",
		"hot_standby=on"), as)
	if err != nil {
		return err
	}
	if err := r.awaitReady(ctx); err != nil {
		return errors.Join(err, r.process.stop(syscall.SIGQUIT))
	}
	return nil
}

// replicaPort is the port of the replica's only socket, which has a folder of
// its own.
const replicaPort = 5432

func (r *Replica) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, r.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		if r.process.ended() {
			return fmt.Errorf("it ended at once: %s", &r.process.output)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), &r.process.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// URL leads to a database of the replica.
func (r *Replica) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database}
	u.RawQuery = url.Values{"host": {r.folder}, "port": {strconv.Itoa(replicaPort)}}.Encode()
	return u.String()
}

// CatchUp returns when the replica has everything that the primary had
// committed at the time of the call.
func (r *Replica) CatchUp(ctx context.Context) error {
	primary, err := pgx.Connect(ctx, r.primary.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = primary.Close(ctx) }()
	var position string
	if err := primary.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&position); err != nil {
		return err
	}
	replica, err := pgx.Connect(ctx, r.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = replica.Close(ctx) }()
	for {
		var there bool
		if err := replica.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn",
			position).Scan(&there); err != nil || there {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop ends the replica and removes its files. The primary goes on.
func (r *Replica) Stop() error {
	return errors.Join(r.process.stop(syscall.SIGINT), os.RemoveAll(r.folder))
}
