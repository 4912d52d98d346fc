package devdb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Lent is a server that somebody names, on which Start is to give databases in place of one of its own. It has no walls
// that are known, the settings and roles that it has, and is not stopped: the databases that were made on it are
// dropped, and then the roles that are new, own nothing, and are named by what was run.
type Lent struct {
	URL     func(database string) string
	Admin   string // a database to connect to; it is left alone
	Missing string // why it has no walls, for Walls
	// Texts are what is run there. Others may make roles on the server at the same time: one that no text names is
	// not ours, and stays.
	Texts []string
}

type lentKey struct{}

// Lend gives a context with which Start asks for a server before it starts one; nil is none.
func Lend(ctx context.Context, lender func(context.Context) (*Lent, error)) context.Context {
	return context.WithValue(ctx, lentKey{}, lender)
}

// lentBy gives the server that Start is to give.
func lentBy(ctx context.Context) (*Lent, error) {
	lender, there := ctx.Value(lentKey{}).(func(context.Context) (*Lent, error))
	if !there {
		return nil, nil
	}
	return lender(ctx)
}

// Borrow gives a server that is not ours. Stop gives it back.
func Borrow(ctx context.Context, lent *Lent) (*Server, error) {
	s := &Server{cluster: cluster{lent: lent}}
	connection, err := pgconn.Connect(ctx, lent.URL(lent.Admin))
	if err != nil {
		return nil, fmt.Errorf("connecting to the server for tests: %w", err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	s.cluster.in.Version, _, _ = strings.Cut(connection.ParameterStatus("server_version"), " ")
	if s.cluster.in.Major, err = majorOf(s.cluster.in.Version); err != nil {
		return nil, err
	}
	if s.roles, err = roles(ctx, connection); err != nil {
		return nil, fmt.Errorf("reading the roles of the server for tests: %w", err)
	}
	if err := tellOfWalls(ctx, s.Walls()); err != nil {
		return nil, err
	}
	return s, nil
}

// roles gives all of a server's roles.
func roles(ctx context.Context, connection *pgconn.PgConn) (map[string]bool, error) {
	results, err := connection.Exec(ctx, "SELECT rolname FROM pg_catalog.pg_roles").ReadAll()
	all := map[string]bool{}
	for _, result := range results {
		for _, row := range result.Rows {
			all[string(row[0])] = true
		}
	}
	return all, err
}

// names reports whether one of the texts names a role, as a word of its own in any case.
func (l *Lent) names(role string) bool {
	word := regexp.MustCompile(`(?i)(^|[^\pL\pN_$])` + regexp.QuoteMeta(role) + `($|[^\pL\pN_$])`)
	return slices.ContainsFunc(l.Texts, word.MatchString)
}

// Lent reports whether the server is somebody else's; see Lend.
func (s *Server) Lent() bool { return s.cluster.lent != nil }

// CreatedRoles notes roles that were created for databases of the server. One that is somebody else's is given back
// without them.
func (s *Server) CreatedRoles(names ...string) {
	if !s.Lent() {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.created = append(s.created, names...)
}

// giveBack drops what was made on a server of somebody else: databases, and the roles that migrations make.
func (s *Server) giveBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropPatience)
	defer cancel()
	var failed error
	for _, name := range s.made {
		failed = errors.Join(failed, s.cluster.dropDatabase(ctx, name))
	}
	s.made = nil
	connection, err := pgconn.Connect(ctx, s.URL(s.cluster.lent.Admin))
	if err != nil {
		return errors.Join(failed, err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	now, err := roles(ctx, connection)
	for role := range now {
		// one that owns something is not ours, and is not dropped
		if !s.roles[role] && (slices.Contains(s.created, role) || s.cluster.lent.names(role)) {
			_, _ = connection.Exec(ctx, "DROP ROLE IF EXISTS "+pgx.Identifier{role}.Sanitize()).ReadAll()
		}
	}
	return errors.Join(failed, err)
}
