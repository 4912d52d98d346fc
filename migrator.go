// Package whimbrel migrates PostgreSQL databases: exactly once, one runner at
// a time, without stalling live traffic, with proved down migrations.
//
// Load migrations with package migration, say in a Config what is run (Project), where
// (Target) and how (Policy), and call a method of the Migrator:
//
//	migrations, err := migration.Load(migration.Source{FS: files, Dir: "migrations"})
//	migrator, err := whimbrel.New(whimbrel.Config{
//		Project: whimbrel.Project{Migrations: migrations},
//		Target:  whimbrel.Target{DatabaseURL: url},
//	})
//	result, err := migrator.Up(ctx, whimbrel.UpOptions{})
//
// A failure is always an *Error. After a crash at any point the same call
// finishes the work.
package whimbrel

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// Config is all that a Migrator is made of. The zero value of every field but DatabaseURL
// (or Connection) is a sensible default.
type Config struct {
	Project
	Target
	Policy

	// ToolVersion is recorded with every run.
	ToolVersion string
	// Listener hears what happens; may be nil.
	Listener Listener
	// Stop, once closed, ends a run after its current step. Cancelling the
	// context ends it at once. Nothing is lost either way. May be nil.
	Stop <-chan struct{}
}

// Migrator migrates one database. Its methods open connections of their own
// and close them before they return; they may be called concurrently, from any
// number of processes.
type Migrator struct {
	config     Config
	connection *pgx.ConnConfig
	identity   identity
	emitting   *sync.Mutex
	run        string                  // its id; empty outside of runs
	hidden     func() *redact.Redactor // see secrets
}

// identity is who runs this process, as recorded in the tables.
type identity struct {
	user, host string
	pid        int
	tool       string
}

func (i identity) String() string { return fmt.Sprintf("%s@%s pid %d", i.user, i.host, i.pid) }

// New checks the configuration. It does not connect.
func New(config Config) (*Migrator, error) {
	config.Policy = config.orDefaults()
	config.Table = cmp.Or(config.Table, DefaultTable)
	config.ToolVersion = cmp.Or(config.ToolVersion, "library")
	if err := cmp.Or(config.Policy.check(), config.Target.check()); err != nil {
		return nil, err
	}
	connection, err := config.parse(secrets(config, nil))
	if err != nil {
		return nil, err
	}
	if config.Migrations, err = config.inOrder(); err != nil {
		return nil, err
	}
	return &Migrator{
		config: config, connection: connection, identity: whoami(config.ToolVersion), emitting: &sync.Mutex{},
		hidden: secrets(config, connection),
	}, nil
}

// misconfigured is the error of an option that cannot be meant.
func misconfigured(remedy, format string, args ...any) error {
	return &Error{Code: CodeConfiguration, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// atLeastZero refuses a number of an option that is negative. 0 replaces the default.
func atLeastZero(option string, n int) error {
	if n >= 0 {
		return nil
	}
	return misconfigured("give a positive one, or 0 for the default", "%s: %d is a negative number", option, n)
}

// aside opens a connection beside the one at work: for renewing the lease and for
// watching. What is asked by it is let finish when the run ends; see dial.LetFinish.
func (m *Migrator) aside(ctx context.Context) (*pgx.Conn, error) {
	connection := m.connection.Copy()
	connection.RuntimeParams["application_name"] = m.asideName()
	return m.open(ctx, connection)
}

// open opens a connection: every one that the engine has is opened by it. The
// configuration is the caller's to alter.
func (m *Migrator) open(ctx context.Context, connection *pgx.ConnConfig) (*pgx.Conn, error) {
	if m.config.BeforeConnect != nil {
		if err := m.config.BeforeConnect(ctx, connection); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, &Error{Code: CodeConnection, Message: "BeforeConnect failed: " + m.redact(err.Error()), Err: err,
				Remedy: "make available what the hook needs, then run the same command again"}
		}
		m.hidden().Password(connection.Password)
	}
	return dial.Open(ctx, connection)
}

// asideName is what the connections beside the one at work are called. What they
// hold, as the snapshot of a look at pg_stat_activity, they hold for a moment.
func (m *Migrator) asideName() string {
	return m.connection.RuntimeParams["application_name"] + " aside"
}

// cancelPatience is how long a cancelled statement may take to end before the
// connection is given up.
const cancelPatience = dial.Patience

// database names the target for people, without the password.
func (m *Migrator) database() string {
	c := m.connection
	return c.User + "@" + c.Host + ":" + strconv.Itoa(int(c.Port)) + "/" + c.Database
}

// ofRun is the Migrator for a run, whose events have its id.
func (m *Migrator) ofRun() *Migrator {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // which never fails
	of := *m
	of.run = hex.EncodeToString(id)
	return &of
}

func (m *Migrator) emit(event Event) {
	if m.config.Listener == nil {
		return
	}
	m.emitting.Lock()
	defer m.emitting.Unlock()
	m.config.Listener(Record{Time: time.Now(), Run: m.run, Database: m.database(), Event: event})
}

// stopping reports whether the caller asked for an orderly end.
func (m *Migrator) stopping() bool {
	select {
	case <-m.config.Stop: // a nil channel never answers
		return true
	default:
		return false
	}
}

// untilStopped is a context for what nobody needs once an orderly end is asked for.
// release must be called.
func (m *Migrator) untilStopped(ctx context.Context) (stoppable context.Context, release func()) {
	stoppable, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-m.config.Stop:
			cancel(interrupted())
		case <-stoppable.Done():
		}
	})
	return stoppable, func() { cancel(nil); watching.Wait() }
}

func whoami(tool string) identity {
	who := identity{user: "unknown", host: "unknown", pid: os.Getpid(), tool: tool}
	if u, err := user.Current(); err == nil {
		who.user = u.Username
	} else if uid := os.Getuid(); uid >= 0 { // as in a container, whose accounts have no names
		who.user = "uid " + strconv.Itoa(uid)
	}
	if host, err := os.Hostname(); err == nil {
		who.host = host
	}
	return who
}
