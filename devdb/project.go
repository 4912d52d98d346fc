package devdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// ProjectOptions says what kind of development server is wanted.
type ProjectOptions struct {
	Major    int                  // 0 = the version of the data that is there, else any; see FindOptions
	Progress func(message string) // told about work that takes seconds; may be nil
}

// Project is the development server of a project. Its data lies in the project's folder and the server outlives the
// command that started it. All methods may be called concurrently, also from several processes.
type Project struct {
	folder  string
	options ProjectOptions

	mutex sync.Mutex
	child *process // the server, if this process has started it
}

// AppDatabase is the database that every development server has from the start.
const AppDatabase = "app"

// projectSettings are close to production, but a commit does not wait for the disk: a crash of the machine may lose the
// last moments, and never the consistency.
var projectSettings = map[string]string{
	"synchronous_commit": "off",
	"jit":                "off",
}

// Database is one of a development server's databases.
type Database struct {
	Name  string
	Bytes int64
}

// Status is what can be said about a development server.
type Status struct {
	Running   bool
	URL       string // of the database "app": the socket's, which needs no password; on Windows TCPURL
	TCPURL    string // the same over TCP, for tools that know no sockets. It holds a password
	Version   string
	PID       int       // 0 when it does not run
	Since     time.Time // when it was started
	DataDir   string    // "" when it was never started
	LogFile   string
	Note      string     // why the data is not in the project's folder, if it is not
	Databases []Database // of a running server that is ready
}

// OpenProject names the development server that lives under a folder of the project, for example ".whimbrel". It
// touches nothing.
func OpenProject(folder string, options ProjectOptions) *Project {
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	return &Project{folder: folder, options: options}
}

// Start starts the server, and creates it the first time. When it runs already nothing happens; when two commands start
// it at once, one does and the other waits. On return the server answers.
func (p *Project) Start(ctx context.Context) (Status, error) {
	err := p.locked(ctx, func(home folder) error { return p.start(ctx, home) })
	if err != nil {
		return Status{}, err
	}
	return p.Status(ctx)
}

// Stop ends the server and all its sessions, and returns when it is gone. It is no error when it does not run.
func (p *Project) Stop(ctx context.Context) error {
	return p.locked(ctx, func(home folder) error { return p.stop(ctx, home) })
}

// Reset removes all of the server's databases, of all major versions, and starts a new server under the same URL.
func (p *Project) Reset(ctx context.Context) error {
	return p.locked(ctx, func(home folder) error {
		if err := errors.Join(p.stop(ctx, home), home.removeData()); err != nil {
			return fmt.Errorf("removing the development server's data: %w", err)
		}
		return p.start(ctx, home)
	})
}

// URL gives the connection string of a database; "" is the database "app". The server is started if it does not run.
// When it does, this takes no lock and no connection.
func (p *Project) URL(ctx context.Context, database string) (string, error) {
	if database == "" {
		database = AppDatabase
	}
	if home, err := openFolder(p.folder); err == nil {
		state, err := home.load()
		if err == nil && state.Prepared && (p.options.Major == 0 || p.options.Major == state.Major) {
			if server, err := running(state.cluster().data); err == nil && server.ready {
				return state.cluster().url(database), nil
			}
		}
	}
	if _, err := p.Start(ctx); err != nil {
		return "", err
	}
	state, err := p.state()
	if err != nil {
		return "", err
	}
	return state.cluster().url(database), nil
}

// Status looks at the server and changes nothing.
func (p *Project) Status(ctx context.Context) (Status, error) {
	state, err := p.state()
	if errors.Is(err, os.ErrNotExist) {
		return Status{}, nil
	}
	if err != nil {
		return Status{}, err
	}
	c := state.cluster()
	status := Status{
		URL: c.url(AppDatabase), TCPURL: c.tcpURL(AppDatabase), Version: state.Version,
		DataDir: c.data, LogFile: c.logFile, Note: state.Note,
	}
	server, err := running(c.data)
	if err != nil || server.pid == 0 {
		return status, err
	}
	status.Running, status.PID, status.Since = true, server.pid, server.started
	if server.ready {
		status.Databases, err = c.databases(ctx)
	}
	return status, err
}

func (p *Project) state() (state, error) {
	home, err := openFolder(p.folder)
	if err != nil {
		return state{}, err
	}
	return home.load()
}

// locked does something that no other command may do at the same time.
func (p *Project) locked(ctx context.Context, do func(folder) error) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	home, err := createFolder(p.folder)
	if err != nil {
		return fmt.Errorf("preparing the development server's folder: %w", err)
	}
	held, err := waitLock(ctx, filepath.Join(home.path, "lock"))
	if err != nil {
		return err
	}
	defer held.release()
	return do(home)
}

// start does the work of Start; the caller holds the lock.
func (p *Project) start(ctx context.Context, home folder) error {
	state, err := home.load()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		up, err := p.join(ctx, home, state)
		if up || err != nil {
			return err
		}
	}
	major := p.options.Major
	if major == 0 {
		major = home.dataMajor(state)
	}
	in, err := locate(ctx, FindOptions{Major: major, Progress: p.options.Progress})
	if err != nil {
		return err
	}
	if state, err = home.place(state, in); err != nil {
		return err
	}
	c := state.cluster()
	c.in = in
	if err := p.create(ctx, c); err != nil {
		return err
	}
	if err := rotate(c.logFile); err != nil {
		return err
	}
	return p.launch(ctx, home, state, c)
}

// join waits until a server that is already there answers. It may have been started by a command that was killed before
// it was done.
func (p *Project) join(ctx context.Context, home folder, state state) (up bool, err error) {
	c := state.cluster()
	server, err := running(c.data)
	if err != nil || server.pid == 0 {
		return false, err
	}
	if p.options.Major != 0 && p.options.Major != state.Major {
		return true, fmt.Errorf("the project's development server runs PostgreSQL %s and %d is wanted; stop it first",
			state.Version, p.options.Major)
	}
	ended := func() error {
		if !serves(server, c.data) {
			return errors.New("it has ended")
		}
		return nil
	}
	if err := c.awaitReady(ctx, ended, time.Now().Add(startLimit)); err != nil {
		return true, fmt.Errorf("waiting for the development server, process %d: %w; its log is %s", server.pid, err,
			c.logFile)
	}
	return true, home.prepare(ctx, state, c)
}

// create makes the data folder if there is none. It appears under its name only when it is whole.
func (p *Project) create(ctx context.Context, c cluster) error {
	if err := c.in.account.makeFolder(c.socket); err != nil {
		return err
	}
	if _, err := os.Stat(c.data); err == nil {
		return nil
	}
	p.options.Progress(fmt.Sprintf("creating the development server, PostgreSQL %s, without walls: it is for migrations "+
		"that you trust", c.in.Version))
	unfinished := c
	unfinished.data = c.data + ".new"
	if err := os.RemoveAll(unfinished.data); err != nil {
		return err
	}
	// without waiting for the disk: there is nothing yet that could be lost
	if err := initdb(ctx, c.in, unfinished.data, c.password, "--no-sync"); err != nil {
		return errors.Join(err, os.RemoveAll(unfinished.data))
	}
	if err := unfinished.configure(projectSettings); err != nil {
		return err
	}
	return os.Rename(unfinished.data, c.data)
}

// launch starts the server on its port, or on another one if that is taken. The state is on disk before the server is
// there, so that anyone who finds the server knows how to reach it.
func (p *Project) launch(ctx context.Context, home folder, state state, c cluster) (err error) {
	for range portAttempts {
		if state.Port == 0 {
			if state.Port, err = freePort(); err != nil {
				return err
			}
		}
		state.Prepared = false
		if err := home.save(state); err != nil {
			return err
		}
		c.port = state.Port
		p.child, err = c.start(ctx, detached)
		if !errors.Is(err, errPortTaken) {
			break
		}
		state.Port = 0
	}
	if err != nil {
		return err
	}
	return home.prepare(ctx, state, c)
}

// stop does the work of Stop; the caller holds the lock. It goes by the data folders, so that it also stops a server
// whose state was lost.
func (p *Project) stop(ctx context.Context, home folder) error {
	known, err := home.load()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, path := range home.versions() {
		data := filepath.Join(path, "data")
		server, err := running(data)
		if err != nil {
			return err
		}
		if server.pid == 0 {
			continue
		}
		gone := func() bool { return !serves(server, data) }
		if err := stopProcess(ctx, known.cluster().in.Binaries, server.pid, fast, gone); err != nil {
			return err
		}
	}
	_ = os.Remove(known.Socket) // the folder, which is empty then; the next start makes it again
	child := p.child
	p.child = nil
	if child == nil || child.ended() {
		return nil
	}
	// and its data was removed by somebody
	return stopProcess(ctx, known.cluster().in.Binaries, child.pid, fast, child.ended)
}

// prepare gives a server that answers what its users rely on: the password of the state, and the database "app".
func (f folder) prepare(ctx context.Context, state state, c cluster) error {
	if state.Prepared {
		return nil
	}
	if hasSockets { // the state may be newer than the data, when somebody has removed it
		if err := c.execute(ctx, "ALTER ROLE "+superuser+" PASSWORD '"+state.Password+"'"); err != nil {
			return fmt.Errorf("setting the development server's password: %w", err)
		}
	}
	list, err := c.databases(ctx)
	if err != nil {
		return err
	}
	for _, database := range list {
		state.Prepared = state.Prepared || database.Name == AppDatabase
	}
	if !state.Prepared {
		if err := c.createDatabase(ctx, AppDatabase, "template0"); err != nil {
			return err
		}
	}
	state.Prepared = true
	return f.save(state)
}

func (c cluster) databases(ctx context.Context) ([]Database, error) {
	connection, err := dial.Connect(ctx, c.url("postgres"))
	if err != nil {
		return nil, fmt.Errorf("asking the development server for its databases: %w", err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	const sql = "SELECT datname, pg_database_size(oid) FROM pg_database WHERE NOT datistemplate AND datname <> " +
		"'postgres' ORDER BY datname"
	rows, err := connection.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return nil, fmt.Errorf("asking the development server for its databases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Database])
}

// newPassword has no character that would have to be quoted anywhere.
func newPassword() string { return rand.Text() }

// logLimit is the size from which a log is put aside when the server starts.
const logLimit = 16 << 20

func rotate(log string) error {
	info, err := os.Stat(log)
	if err != nil || info.Size() < logLimit {
		return nil
	}
	return os.Rename(log, log+".1")
}

func majorFolder(home string, major int) string { return filepath.Join(home, strconv.Itoa(major)) }
