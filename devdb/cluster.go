package devdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cluster is a data folder and how it is served. It holds no process: Server and Project do.
type cluster struct {
	in          installation
	data        string
	socket      string // the folder of the socket
	logFile     string
	port        int
	tcp         bool
	password    string
	environment map[string]string // of its processes, beside what all of them see
	volatile    bool              // it has no fsync: checkpoints cost nothing
	confined    bool              // it runs behind the walls that the system has
	lent        *Lent             // it is somebody else's; nothing of the above is known
}

// socketPort is the port of servers that only have a socket: each has a folder of its own, so that all can have the
// same.
const socketPort = 5432

// socketURL connects through the socket, which needs no password.
func (c cluster) socketURL(database string) string {
	address := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	address.RawQuery = url.Values{"host": {c.socket}, "port": {strconv.Itoa(c.port)}}.Encode()
	return address.String()
}

// tcpURL connects to 127.0.0.1, with the password.
func (c cluster) tcpURL(database string) string {
	host := net.JoinHostPort(loopback, strconv.Itoa(c.port))
	address := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, c.password), Host: host,
		Path: "/" + database, RawQuery: "sslmode=disable"}
	return address.String()
}

func (c cluster) url(database string) string {
	if c.lent != nil {
		return c.lent.URL(database)
	}
	if hasSockets {
		return c.socketURL(database)
	}
	return c.tcpURL(database)
}

const loopback = "127.0.0.1"

// freePort asks the system for a port. Somebody else may take it before the server does: see errPortTaken.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// checkSocket refuses a socket whose path is too long for the kernel, before PostgreSQL does so in less clear words.
func (c cluster) checkSocket() error {
	path := filepath.Join(c.socket, ".s.PGSQL."+strconv.Itoa(c.port))
	if hasSockets && len(path) > socketLimit {
		return fmt.Errorf("the path of the server's socket, %s, has %d bytes, and sockets can have %d: use a folder with a "+
			"shorter path", path, len(path), socketLimit)
	}
	return nil
}

// configure appends settings to the server's configuration file, where the last one of a name wins.
func (c cluster) configure(settings map[string]string) error {
	var lines strings.Builder
	lines.WriteString("\n# Written by whimbrel.\n")
	for _, name := range sortedKeys(settings) {
		if !plainName(name) {
			return fmt.Errorf("%q is not the name of a server setting", name)
		}
		if strings.ContainsAny(settings[name], "\n\r\x00") {
			return fmt.Errorf("the value of the server setting %s has more than one line", name)
		}
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(settings[name])
		fmt.Fprintf(&lines, "%s = '%s'\n", name, quoted)
	}
	data, err := os.OpenRoot(c.data) // the folder may belong to another account, which could put a link there
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	file, err := data.OpenFile("postgresql.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(lines.String())
	return errors.Join(err, file.Close())
}

func sortedKeys(settings map[string]string) []string {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plainName accepts the names of settings, those of extensions ("auto_explain.log_analyze") included.
func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.')
	})
}

// errPortTaken: the port was free when it was chosen, and no longer when the server started.
var errPortTaken = errors.New("the port is taken by another program")

// startLimit is how long a server may take until it answers. Recovery after a crash is the longest part; it is told
// about in the log.
const startLimit = time.Minute

// start launches the server and returns when it answers queries. It never starts a second server on the folder:
// PostgreSQL refuses that. A server that does not come up is ended, and its log is in the error.
func (c cluster) start(ctx context.Context, lifetime lifetime) (*process, error) {
	limit := time.Now().Add(startLimit)
	for {
		server, err := c.startOnce(ctx, lifetime, limit)
		if err == nil {
			return server, nil
		}
		if !errors.Is(err, errSessionsLeft) || time.Now().After(limit) {
			what := fmt.Sprintf("starting PostgreSQL %s from %s%s", c.in.Version, c.in.Dir, c.in.account.describe())
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s: %w", what, err)
			}
			return nil, failed("postgres", what, err)
		}
		select { // the sessions of a killed server notice its death one after the other
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// errSessionsLeft: the server before this one was killed, and its sessions have not all ended.
var errSessionsLeft = errors.New("processes of the killed server are still there")

func (c cluster) startOnce(ctx context.Context, lifetime lifetime, limit time.Time) (*process, error) {
	if err := errors.Join(ctx.Err(), c.checkSocket(), c.clear()); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	before, err := log.Stat()
	if err != nil {
		return nil, err
	}
	walls, err := c.confine()
	if err != nil {
		return nil, err
	}
	defer walls.close()
	command := c.command()
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = c.in.account.attributes(lifetime)
	server, err := launch(command, lifetime, walls)
	if err != nil {
		return nil, err
	}
	server.walls = walls.walls
	err = c.awaitReady(ctx, server.failure, limit)
	if err == nil {
		return server, nil
	}
	if !server.ended() { // not with ctx, which may be what has ended
		err = errors.Join(err, stopProcess(context.WithoutCancel(ctx), c.in.Binaries, server.pid, immediate, server.ended))
	}
	return nil, explain(err, tail(c.logFile, before.Size()))
}

// clear removes what a dead server has left behind and what would keep the next one from starting: the sockets with
// their lock files, and a postmaster.pid whose number belongs to another program by now.
func (c cluster) clear() error {
	found, err := running(c.data)
	if err != nil {
		return fmt.Errorf("%w; remove the file if no server runs on the folder", err)
	}
	if found.pid != 0 {
		return fmt.Errorf("process %d already serves %s; stop it first", found.pid, c.data)
	}
	left, err := filepath.Glob(filepath.Join(c.socket, ".s.PGSQL.*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return forgetStale(c.data)
}

func (c cluster) command() *exec.Cmd {
	addresses := ""
	if c.tcp || !hasSockets {
		addresses = loopback
	}
	arguments := []string{"-D", c.data, "-p", strconv.Itoa(c.port), "-c", "listen_addresses=" + addresses}
	if hasSockets {
		arguments = append(arguments, "-c", "unix_socket_directories="+quoteFolder(c.socket), "-c",
			"unix_socket_permissions=0700")
	}
	command := exec.Command(filepath.Join(c.in.Dir, executable("postgres")), arguments...)
	command.Dir, command.Env = rootDir(), environment()
	for name, value := range c.environment {
		command.Env = append([]string{name + "=" + value}, command.Env...) // the last of a name counts
	}
	return command
}

// quoteFolder protects a path in a setting that is a list of paths.
func quoteFolder(path string) string {
	return `"` + strings.ReplaceAll(path, `"`, `""`) + `"`
}

// explain gives the server's own words to the error, and recognises those that ask for another attempt.
func explain(err error, log string) error {
	switch {
	case strings.Contains(log, "could not create any TCP/IP sockets"):
		err = errPortTaken
	case strings.Contains(log, "is still in use") && strings.Contains(log, "shared memory"):
		err = errSessionsLeft
	}
	if log == "" {
		return fmt.Errorf("%w (its log is empty)", err)
	}
	return fmt.Errorf("%w; the end of its log:%s", err, quoted(log))
}

// awaitReady returns when the server has answered a query, or when ended gives the reason why it never will.
func (c cluster) awaitReady(ctx context.Context, ended func() error, limit time.Time) error {
	ctx, cancel := context.WithDeadlineCause(ctx, limit, fmt.Errorf("it did not answer within %v", startLimit))
	defer cancel()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		answer := c.execute(ctx, "SELECT 1")
		if err := ended(); err != nil { // even after an answer, which then was another server's
			return err
		}
		if answer == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
	}
}

// execute runs one command on the maintenance database.
func (c cluster) execute(ctx context.Context, sql string) (err error) {
	maintenance := "postgres"
	if c.lent != nil {
		maintenance = c.lent.Admin
	}
	connection, err := pgconn.Connect(ctx, c.url(maintenance))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	_, err = connection.Exec(ctx, sql).ReadAll()
	return err
}
