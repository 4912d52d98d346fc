// Package whimbrel migrates PostgreSQL databases: exactly once, one runner at
// a time, without stalling live traffic, with proved down migrations.
//
// Load migrations with package migration, describe the database in a Config,
// and call a method of the Migrator:
//
//	migrations, err := migration.Load(migration.Source{FS: files, Dir: "migrations"})
//	migrator, err := whimbrel.New(whimbrel.Config{DatabaseURL: url, Migrations: migrations})
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
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Defaults of a Config.
const (
	DefaultTable         = "schema_migrations"
	DefaultMaxStall      = 100 * time.Millisecond
	DefaultRetryBudget   = 10 * time.Minute
	DefaultLeaseDuration = 30 * time.Second
	// LongestStall is the longest lock_timeout that PostgreSQL knows.
	LongestStall    = math.MaxInt32 * time.Millisecond
	DefaultLockWait = 10 * time.Minute
)

// Durations of a Config with a meaning of their own.
const (
	// NoWait is a LockWait that waits for no other runner.
	NoWait time.Duration = -1
	// NoRetry is a RetryBudget in which nothing is retried.
	NoRetry time.Duration = 1
	// IgnoreReplicas is a MaxReplicaLag that any replica is within.
	IgnoreReplicas time.Duration = -1
)

// OutOfOrder is what to do with pending versions that are older than the
// newest applied one.
type OutOfOrder string

// The policies for out-of-order versions.
const (
	RefuseOutOfOrder OutOfOrder = "refuse" // an error that lists them
	ApplyOutOfOrder  OutOfOrder = "apply"  // run them, oldest first
	SkipOutOfOrder   OutOfOrder = "skip"   // leave them pending
)

// Config describes a database and its migrations. The zero value of every
// field but DatabaseURL (or Connection) is a sensible default.
type Config struct {
	// DatabaseURL is a URL or a keyword/value string, as libpq takes it.
	DatabaseURL string
	// Connection is used instead of DatabaseURL where it is given. It must
	// come from pgx.ParseConfig. It is copied.
	Connection *pgx.ConnConfig
	// BeforeConnect is called before each new connection of a run is opened, with a copy of
	// the configuration for it to alter: to fetch a password that is valid for minutes, as
	// clouds have them. It may be called concurrently. Where it fails, so does connecting.
	// May be nil.
	BeforeConnect func(context.Context, *pgx.ConnConfig) error
	// Migrations as migration.Load gives them. They must not be altered afterwards.
	Migrations []migration.Migration
	// Functions are migrations written in Go, which take their place among the
	// others by their version.
	Functions []Function
	// Scripts runs migrations in JavaScript and TypeScript; see package js.
	// Without it they are refused once they are to run.
	Scripts Runtime
	// Table is the history table's name, with or without schema; its
	// companions are named after it.
	Table string
	// OutOfOrder is RefuseOutOfOrder unless set.
	OutOfOrder OutOfOrder
	// Tags, unless empty, narrow what is pending to the migrations that have one
	// of them: for Up, Status and Verify. The others stay pending. A tag that no
	// migration has is an error of New.
	Tags []string
	// Variables are the values of what files ask for by the annotation Variables.
	// One of four characters or more is in no error, event or table of
	// whimbrel's, also where the server quotes it.
	Variables map[string]string
	// Hooks run before and after a run, and each migration; see
	// migration.LoadHooks. They do not run where only the history is changed.
	Hooks migration.Hooks
	// AllowMissing lets a run go on although applied versions have no file.
	AllowMissing bool
	// AcceptMarks lets pending migrations run in which a comment looks like the mark of the
	// down migration (migration.Migration.UnreadMark). It is for servers that are thrown away,
	// where what has long been applied runs again as it did then.
	AcceptMarks bool
	// MaxStall is how long a statement of ours may wait for a lock while
	// others queue behind it.
	MaxStall time.Duration
	// RetryBudget is how long a step that backed off is tried again; NoRetry: not at all.
	RetryBudget time.Duration
	// LeaseDuration is how long a lease holds without renewal.
	LeaseDuration time.Duration
	// LockWait is how long to wait for another runner; NoWait, or a negative duration: not
	// at all.
	LockWait time.Duration
	// MaxReplicaLag is how far replicas may be behind while a backfill runs,
	// before it waits for them. With 0 they must have what was there before the
	// last batch; with IgnoreReplicas, or any negative duration, it never waits.
	MaxReplicaLag time.Duration
	// Protect, unless empty, says that the database is protected, and as what: the first
	// run that changes anything leaves the mark of that. See Protection.
	Protect string
	// OnProtected is asked before a protected database is changed, at a moment when
	// nothing is held; the run ends with its error. Without it, a plan that takes something
	// away (see Plan.Loses) is refused with CodeProtected, and any other is run.
	// AllowProtected allows everything.
	OnProtected func(context.Context, Protection, Plan) error
	// NoPipeline waits for the answer to each migration before the next is
	// sent. Without it, migrations that are one transaction are sent ahead.
	NoPipeline bool
	// Listener hears what happens; may be nil.
	Listener Listener
	// Stop, once closed, ends a run after its current step. Cancelling the
	// context ends it at once. Nothing is lost either way. May be nil.
	Stop <-chan struct{}
	// ToolVersion is recorded with every run.
	ToolVersion string
	// Opening is a connection to this database that Open has begun to open; the
	// first method that connects takes it over. May be nil.
	Opening *Opening
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
	config.Table = cmp.Or(config.Table, DefaultTable)
	config.OutOfOrder = cmp.Or(config.OutOfOrder, RefuseOutOfOrder)
	config.MaxStall = cmp.Or(config.MaxStall, DefaultMaxStall)
	config.RetryBudget = cmp.Or(config.RetryBudget, DefaultRetryBudget)
	config.LeaseDuration = cmp.Or(config.LeaseDuration, DefaultLeaseDuration)
	config.LockWait = cmp.Or(config.LockWait, DefaultLockWait)
	config.ToolVersion = cmp.Or(config.ToolVersion, "library")
	if err := config.check(); err != nil {
		return nil, err
	}
	connection, err := parseConnection(config)
	if err != nil {
		return nil, err
	}
	inOrder := func(a, b migration.Migration) int { return a.Version.Compare(b.Version) }
	// what Load gives is sorted, and large
	if len(config.Functions) > 0 || !slices.IsSortedFunc(config.Migrations, inOrder) {
		config.Migrations = slices.Clone(config.Migrations)
	}
	for _, f := range config.Functions {
		file, err := f.migration()
		if err != nil {
			return nil, err
		}
		config.Migrations = append(config.Migrations, file)
	}
	slices.SortStableFunc(config.Migrations, inOrder)
	for i := 1; i < len(config.Migrations); i++ {
		if a, b := config.Migrations[i-1], config.Migrations[i]; a.Version.Equal(b.Version) {
			return nil, &Error{
				Code: CodeConfiguration, Version: b.Version, Path: b.Path,
				Message: fmt.Sprintf("version %s appears twice: here and in %s", b.Version, a.Path),
				Remedy:  "give one of them another version",
			}
		}
	}
	if err := checkTags(config.Tags, config.Migrations); err != nil {
		return nil, err
	}
	return &Migrator{
		config: config, connection: connection, identity: whoami(config.ToolVersion), emitting: &sync.Mutex{},
		hidden: secrets(config, connection),
	}, nil
}

func (c Config) check() error {
	wrong := func(remedy, format string, args ...any) error {
		return &Error{Code: CodeConfiguration, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	if !slices.Contains([]OutOfOrder{RefuseOutOfOrder, ApplyOutOfOrder, SkipOutOfOrder}, c.OutOfOrder) {
		return wrong("use refuse, apply or skip", "unknown out-of-order policy %q", c.OutOfOrder)
	}
	if parts := strings.Split(c.Table, "."); len(parts) > 2 || slices.Contains(parts, "") {
		return wrong("write table or schema.table", "invalid name for the history table %q", c.Table)
	}
	if schema, _, found := strings.Cut(c.Table, "."); found && isSystemSchema(schema) {
		return unfitSchema(schema)
	}
	if c.MaxStall < time.Millisecond || c.MaxStall > LongestStall {
		return wrong(fmt.Sprintf("use at least 1ms, and at most %s", LongestStall),
			"MaxStall: a stall budget of %s cannot be kept", c.MaxStall)
	}
	if c.RetryBudget < 0 {
		return wrong("use a positive duration, or NoRetry", "invalid RetryBudget %s",
			c.RetryBudget)
	}
	if c.LeaseDuration < time.Second || c.LeaseDuration > LongestStall {
		return wrong(fmt.Sprintf("use at least 1s, and at most %s", LongestStall),
			"LeaseDuration: a lease of %s cannot be renewed in time, or taken over", c.LeaseDuration)
	}
	return nil
}

// atLeastZero refuses a number of an option that is negative. 0 replaces the default.
func atLeastZero(option string, n int) error {
	if n >= 0 {
		return nil
	}
	return &Error{
		Code: CodeConfiguration, Message: fmt.Sprintf("%s: %d is a negative number", option, n),
		Remedy: "give a positive one, or 0 for the default",
	}
}

// parseConnection prepares a connection for our use: no statement cache (it
// breaks after DDL and behind poolers).
func parseConnection(config Config) (*pgx.ConnConfig, error) {
	connection := config.Connection
	if connection == nil {
		if config.DatabaseURL == "" {
			return nil, &Error{Code: CodeConfiguration, Message: "no database is given", Remedy: "give a database URL"}
		}
		parsed, err := dial.Parse(config.DatabaseURL)
		if err != nil {
			return nil, unreadable(err, secrets(config, nil)())
		}
		connection = parsed
	} else {
		connection = connection.Copy()
	}
	connection.DefaultQueryExecMode = pgx.QueryExecModeExec
	connection.StatementCacheCapacity, connection.DescriptionCacheCapacity = 0, 0
	if connection.RuntimeParams["application_name"] == "" {
		connection.RuntimeParams["application_name"] = "whimbrel"
	}
	return connection, nil
}

// unreadable says why an address is not read.
func unreadable(err error, hidden *redact.Redactor) *Error {
	var wrong *dial.AddressError
	if errors.As(err, &wrong) {
		return &Error{Code: CodeConfiguration, Message: hidden.Clean(wrong.Problem), Remedy: hidden.Clean(wrong.Remedy),
			Err: err}
	}
	return &Error{
		Code: CodeConfiguration, Message: "the database URL cannot be read: " + hidden.Clean(err.Error()),
		Remedy: "write it as postgres://user:password@host:5432/database, with special characters of the password " +
			"percent-encoded",
	}
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
