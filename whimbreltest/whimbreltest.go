// Package whimbreltest gives every test a PostgreSQL database of its own, in
// which all migrations are applied:
//
//	//go:embed migrations/*.sql
//	var migrations embed.FS
//
//	func TestOrders(t *testing.T) {
//		t.Parallel()
//		db := whimbreltest.New(t, migrations, whimbreltest.Dir("migrations"))
//		_, err := db.Exec(t.Context(), "INSERT INTO orders …")
//	}
//
// Nothing has to be set up: [New] starts a server from binaries that it finds on
// the machine or fetches, as package devdb says. The migrations run once, into a
// template; every database is a copy of it, which takes some ten milliseconds.
// The database of a test that fails is kept, and the log says how to connect.
//
// # The server
//
// All tests of a user share one server per version of PostgreSQL, across the
// test binaries of a go test ./... and from one run to the next. Anyone who needs
// it first starts it. It ends by itself, and its files go with it, within a minute
// after the last test; half an hour later, or a little more, if a database was kept.
//
// A server of each test binary's own, ended with the binary, would have been
// simpler. It was not taken because a kept database would be gone before anybody
// could connect to it, and because each binary would migrate a template again.
// What makes the sharing safe is that the kernel does the book-keeping: every
// [New] holds a named pipe open until its test is over, and a small process at
// the pipe's other end reads "nobody" from it as soon as the last holder is gone,
// however that ended. A test binary that is killed leaves no server behind. See
// caretaker.sh.
//
// The server runs without fsync, in memory where there is a memory file system
// with enough room. The environment variable WHIMBRELTEST_DIR names another
// folder for it. On Windows, which has no such pipes, every test binary has a
// server of its own, and kept databases end with it.
//
// # A server that is already there
//
// Where the environment variable WHIMBRELTEST_URL holds the URL of a server, as
// in continuous integration with a service container, that one is used:
//
//	WHIMBRELTEST_URL=postgres://postgres:secret@localhost:5432/postgres go test ./...
//
// The role must have the right to create databases. Nothing on the server is
// touched but databases whose names begin with whimbreltest_. What killed tests
// have left behind, kept databases and old templates are dropped after a day.
package whimbreltest

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Database is the database of one test. It may be used from several goroutines.
type Database struct {
	// Pool is connected to the database and closed when the test is over.
	*pgxpool.Pool
	// URL is the connection string of the database, for programs that connect
	// by themselves. It may hold a password.
	URL string
}

// New gives a database in which the migrations that are found in the folder are
// applied. It belongs to the test alone, and any number of them may be made at
// once. It is dropped when the test and its subtests are over, unless they
// failed: then it stays, and its connection string is in the test's log. Of
// kept databases the newest twenty stay.
//
// If anything goes wrong, a broken migration included, the test fails at once. New
// must therefore be called from the test's own goroutine.
func New(t testing.TB, migrations fs.FS, options ...Option) *Database {
	t.Helper()
	return everybody.database(t, migrations, options)
}

// everybody is how New shares servers; the package's own tests keep to themselves.
var everybody = sharing{idle: 30 * time.Second, kept: 30 * time.Minute}

func (s sharing) database(t testing.TB, migrations fs.FS, options []Option) *Database {
	t.Helper()
	recipe, err := newRecipe(migrations, options)
	if err != nil {
		t.Fatalf("whimbreltest: %s", explain(err))
	}
	db, server, err := s.make(t.Context(), recipe, t.Logf)
	if err != nil {
		t.Fatalf("whimbreltest: %s", explain(err))
	}
	t.Cleanup(func() {
		t.Helper()
		db.finish(t, server)
	})
	return &db.Database
}

// testDatabase is a Database with what is needed to make an end of it.
type testDatabase struct {
	Database
	name string
}

func (s sharing) make(ctx context.Context, recipe recipe, log func(string, ...any)) (*testDatabase, *server, error) {
	server, err := s.server(ctx, recipe.major, func(message string) { log("whimbreltest: %s", message) })
	if err != nil {
		return nil, nil, err
	}
	name, err := server.create(ctx, recipe)
	if err != nil {
		server.leave()
		return nil, nil, err
	}
	url := server.address.to(name)
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		server.leave()
		return nil, nil, fmt.Errorf("connecting to the test's database: %w", err)
	}
	return &testDatabase{Database: Database{Pool: pool, URL: url}, name: name}, server, nil
}

// closing is how long connections may stay in use after the test is over.
const closing = 3 * time.Second

// dropping is how long the end of a database may take. PostgreSQL waits with
// DROP DATABASE for every session of the server to take note, and one whose
// client does not read its rows takes none.
const dropping = 15 * time.Second

// finish makes an end of the database, or keeps it.
func (d *testDatabase) finish(t testing.TB, server *server) {
	t.Helper()
	defer server.leave()
	ctx, cancel := context.WithTimeout(context.Background(), dropping)
	defer cancel()
	if busy := d.settle(); busy > 0 {
		// Close would wait for them for ever.
		t.Errorf("whimbreltest: the test is over and has %d connection(s) of its pool in use: close rows, end "+
			"transactions, and wait for goroutines", busy)
	} else {
		d.Close()
	}
	if !t.Failed() {
		if err := server.drop(ctx, d.name); err != nil {
			// The test has seen to its own; this may be the doing of another.
			t.Logf("whimbreltest: %s", explain(err))
		}
		return
	}
	t.Logf("whimbreltest: the test failed, so its database is kept; look at it with\n    psql '%s'\n%s",
		server.address.shown(d.name), server.stay())
	if err := server.keep(ctx, d.name, t.Name()); err != nil {
		t.Logf("whimbreltest: %s", explain(err))
	}
}

// settle waits a little for connections to be given back, and says how many are still in use.
func (d *testDatabase) settle() int32 {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for limit := time.Now().Add(closing); ; <-poll.C {
		busy := d.Stat().AcquiredConns()
		if busy == 0 || time.Now().After(limit) {
			return busy
		}
	}
}
