package whimbreltest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// urlVariable is the environment variable that names a server.
const urlVariable = "WHIMBRELTEST_URL"

// sharing says where the servers that tests share are, and how long they outlive their last user.
type sharing struct {
	url        string        // of a server that is already there; "" is the environment's, if that has one
	folder     string        // of our servers; "" is the usual place
	idle, kept time.Duration // without and with kept databases
}

// server is a server on which databases are made, for as long as one test needs it.
type server struct {
	address address
	major   int  // wanted; 0 = any
	own     bool // its checkpoints cost nothing
	visit   visit
}

// visit keeps a server of ours from ending.
type visit interface {
	keep() string // a database stays on the server; the sentence for the log says for how long
	leave()
}

// server gives the server of the environment, or one of ours that runs or is started.
func (s sharing) server(ctx context.Context, major int, progress func(string)) (*server, error) {
	given := s.url
	if given == "" {
		given = os.Getenv(urlVariable)
	}
	if given != "" {
		address, err := parseAddress(given)
		return &server{address: address, major: major, visit: guest{}}, err
	}
	text, visit, err := s.open(ctx, major, progress)
	if err != nil {
		return nil, fmt.Errorf("%w; or set %s to the URL of a server where databases can be created", err, urlVariable)
	}
	address, err := parseAddress(text)
	if err != nil {
		visit.leave()
		return nil, err
	}
	return &server{address: address, major: major, own: true, visit: visit}, nil
}

func (s *server) leave()       { s.visit.leave() }
func (s *server) stay() string { return s.visit.keep() }

// guest visits a server that is not ours.
type guest struct{}

func (guest) keep() string { return "until it is dropped by hand, or by another run after a day" }
func (guest) leave()       {}

// address is the URL of a server.
type address struct{ url url.URL }

// parseAddress never shows the text, which may hold a password.
func parseAddress(text string) (address, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return address{}, errors.New(urlVariable + " is not a URL of the form postgres://user:password@host:port/database")
	}
	return address{*parsed}, nil
}

// maintenance connects to the database that the URL names itself.
func (a address) maintenance() string { return a.url.String() }

// to is the URL of another database.
func (a address) to(database string) string {
	there := a.url
	there.Path, there.RawPath = "/"+database, ""
	query := there.Query()
	query.Del("dbname")
	query.Del("database")
	there.RawQuery = query.Encode()
	return there.String()
}

// shown is that URL without passwords.
func (a address) shown(database string) string {
	there := address{a.url}
	if there.url.User != nil {
		there.url.User = url.User(there.url.User.Username())
	}
	query := there.url.Query()
	query.Del("password")
	query.Del("sslpassword")
	there.url.RawQuery = query.Encode()
	return there.to(database)
}
