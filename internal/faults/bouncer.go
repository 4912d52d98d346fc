//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// PoolMode is when PgBouncer gives a server connection to another client.
type PoolMode string

// The modes, as PgBouncer names them.
const (
	SessionMode     PoolMode = "session"     // when the client disconnects
	TransactionMode PoolMode = "transaction" // when the client's transaction ends
)

// Bouncer is a running PgBouncer in front of a server.
type Bouncer struct {
	address string
	folder  string
	process *process
}

// StartBouncer starts a PgBouncer in front of a server that was started with
// devdb.Options.TCP, with at most poolSize connections to it per database, and
// returns when it accepts clients. It ends with Stop, or with this process, whose sudden
// death leaves a folder in /tmp.
func StartBouncer(ctx context.Context, server *devdb.Server, mode PoolMode, poolSize int) (*Bouncer, error) {
	return StartBouncerTo(ctx, server.TCPURL("postgres"), mode, poolSize)
}

// StartBouncerTo starts one in front of a server, or of a Proxy, that a URL names by
// host and port.
func StartBouncerTo(ctx context.Context, server string, mode PoolMode, poolSize int) (*Bouncer, error) {
	program, err := Program(ctx, "pgbouncer", "pgbouncer")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := as.folder()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{folder: folder}
	for range 5 { // the port may be lost between choosing and using it
		if err = b.start(ctx, program, as, server, mode, poolSize); err == nil {
			return b, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("starting PgBouncer: %w", err), os.RemoveAll(folder))
}

func (b *Bouncer) start(ctx context.Context, program string, as account, server string, mode PoolMode,
	poolSize int) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	b.address = address
	configuration, err := bouncerConfiguration(address, server, mode, poolSize)
	if err != nil {
		return err
	}
	path := filepath.Join(b.folder, "pgbouncer.ini")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		return err
	}
	if as.uid != 0 {
		if err := os.Chown(path, as.uid, as.gid); err != nil {
			return err
		}
	}
	if b.process, err = launch(exec.Command(program, path), as); err != nil {
		return err
	}
	return b.awaitReady(ctx)
}

// bouncerConfiguration lets everybody in as the server's superuser. See
// https://www.pgbouncer.org/config.html.
func bouncerConfiguration(address, server string, mode PoolMode, poolSize int) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", errors.New("the server's URL cannot be read")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	password, _ := u.User.Password()
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	return fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = %d
max_client_conn = 200
server_round_robin = 1
`, u.Hostname(), u.Port(), quote(u.User.Username()), quote(password), host, port, mode, poolSize), nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// awaitReady goes by what PgBouncer says: an answer on the port could be another
// program's.
func (b *Bouncer) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !strings.Contains(b.Log(), "process up") {
		if b.process.ended() {
			return fmt.Errorf("it ended at once: %s", b.Log())
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), b.process.stop(syscall.SIGTERM))
		case <-poll.C:
		}
	}
	return nil
}

// URL leads to a database through the pooler.
func (b *Bouncer) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: b.address, Path: "/" + database,
		RawQuery: "sslmode=disable"}
	return u.String()
}

// Log is what PgBouncer has said so far, and how it ended if it has.
func (b *Bouncer) Log() string {
	if b.process.ended() {
		return fmt.Sprintf("%s\nended: %v", &b.process.output, b.process.err)
	}
	return b.process.output.String()
}

// Ended reports whether PgBouncer has ended by itself, as it does of some faults of
// its own.
func (b *Bouncer) Ended() bool { return b.process.ended() }

// Stop ends PgBouncer at once, with all connections, and removes its files.
func (b *Bouncer) Stop() error {
	return errors.Join(b.process.stop(syscall.SIGTERM), os.RemoveAll(b.folder))
}
