package trial

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// host is where the databases of a trial are made. On a server of our own each
// database gets a server to itself, so that roles and the like, which belong to
// a server, begin again as well; a server starts as quickly as a database is made.
type host struct {
	options devdb.Options
	shared  bool            // databases are made on one server, by admin
	admin   *pgx.ConnConfig // of a database on it that is not ours
	guest   *devdb.Server   // that server, if it is somebody's who gets it back as it was; or nil

	keep   bool
	prefix string // of the names of our databases

	mutex  sync.Mutex
	count  int
	made   []made
	shown  string // PostgreSQL's version
	keeper []Kept
}

// made is one database that this trial has created.
type made struct {
	name   string
	server *devdb.Server // its own, or nil
}

// FromEnvironment gives the connection that the variables TEST_DB_HOST,
// TEST_DB_PORT, TEST_DB_NAME, TEST_DB_USER and TEST_DB_PASSWORD speak of, and
// nil if none of them is set. What is not set is localhost, 5432, test and
// postgres. The database need not exist, and is left alone: see Options.Connection.
func FromEnvironment(lookup func(name string) (string, bool)) (*pgx.ConnConfig, error) {
	address := dial.Variables("TEST_DB_", "test", lookup)
	if address == "" {
		return nil, nil
	}
	if given, _ := lookup("TEST_DB_PORT"); given != "" {
		if port, err := strconv.ParseUint(given, 10, 16); err != nil || port == 0 {
			return nil, wrong("write a number from 1 to 65535, or omit it", "TEST_DB_PORT is %q, which is not a port", given)
		}
	}
	config, err := dial.Parse(address)
	var unfit *dial.AddressError
	if errors.As(err, &unfit) {
		return nil, wrong(unfit.Remedy, "%s", unfit.Problem)
	}
	if err != nil {
		return nil, wrong("look at the variables TEST_DB_* and PG*", "the variables TEST_DB_* describe no connection")
	}
	return config, nil
}

// Lend gives a server for tests to what starts throw-away servers, under the same promise
// as a trial: the named database must be empty or not exist, and is left alone.
// See devdb.Lent for missing, and for the roles that the migrations make.
func Lend(ctx context.Context, connection *pgx.ConnConfig, missing string,
	migrations []migration.Migration, sandbox devdb.Furnishing) (*devdb.Lent, error) {
	h := &host{admin: connection.Copy()}
	if err := h.approach(ctx); err != nil {
		return nil, err
	}
	return h.lent(missing, migrations, sandbox), nil
}

// Superuser reports whether the role of a connection to a server for tests is one.
func Superuser(ctx context.Context, connection *pgx.ConnConfig) (super bool, err error) {
	h := &host{admin: connection.Copy()}
	if err := h.approach(ctx); err != nil {
		return false, err
	}
	conn, err := dial.Open(ctx, h.admin)
	if err != nil {
		return false, h.cannotConnect(err)
	}
	defer dial.Close(conn)
	err = conn.QueryRow(ctx, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&super)
	return super, err
}

func (h *host) lent(missing string, migrations []migration.Migration, sandbox devdb.Furnishing) *devdb.Lent {
	texts := sandbox.Texts()
	for _, m := range migrations {
		texts = append(texts, m.Text)
	}
	return &devdb.Lent{
		URL: func(database string) string {
			config := h.admin.Copy()
			config.Database = database
			return addressOf(config, url.UserPassword(config.User, config.Password))
		},
		Admin: h.admin.Database, Missing: missing, Texts: texts,
	}
}

// openHost finds the server. It refuses one whose named database holds anything.
func openHost(ctx context.Context, options Options, migrations []migration.Migration) (*host, error) {
	h := &host{
		options: devdb.Options{Major: options.Major, Progress: options.Progress},
		keep:    options.Keep, prefix: "whimbrel_trial_" + strings.ToLower(rand.Text()[:8]),
	}
	switch {
	case options.Connection != nil:
		h.shared, h.admin = true, options.Connection.Copy()
		h.prefix = shorten(h.admin.Database, 30) + "_trial_" + strings.ToLower(rand.Text()[:8])
		if err := h.approach(ctx); err != nil || h.keep {
			return h, err
		}
		var err error
		h.guest, err = devdb.Borrow(ctx, h.lent("it is not whimbrel's own", migrations, options.Sandbox))
		return h, err
	case options.Keep:
		project := devdb.OpenProject(cmp.Or(options.KeepIn, ".whimbrel"), devdb.ProjectOptions{Major: options.Major,
			Progress: options.Progress})
		address, err := project.URL(ctx, "postgres")
		if err != nil {
			return nil, fmt.Errorf("starting the development server, where the databases are to be kept: %w", err)
		}
		h.shared = true
		h.admin, err = pgx.ParseConfig(address)
		return h, err
	}
	return h, nil
}

func shorten(name string, most int) string {
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name
}

// approach makes sure that the named database is empty or does not exist, and
// finds one from which others can be created.
func (h *host) approach(ctx context.Context) error {
	named := h.admin.Database
	for _, database := range []string{named, "postgres", "template1"} {
		h.admin.Database = database
		conn, err := dial.Open(ctx, h.admin)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "3D000" { // there is no such database
			continue
		}
		if err != nil {
			return h.cannotConnect(err)
		}
		defer dial.Close(conn)
		if database != named {
			return nil
		}
		return refuseTables(ctx, conn, named)
	}
	return wrong("create one of them", "the server has none of the databases %s, postgres and template1", named)
}

func (h *host) cannotConnect(err error) error {
	message := err.Error()
	if h.admin.Password != "" {
		message = strings.ReplaceAll(message, h.admin.Password, "…")
	}
	return wrong("look at the variables TEST_DB_*, and whether the server runs",
		"cannot connect to the server for tests: %s", message)
}

// refuseTables is the promise that nobody's data is ever near a trial.
func refuseTables(ctx context.Context, conn *pgx.Conn, database string) error {
	rows, err := conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("looking whether the database %s is empty: %w", database, err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking whether the database %s is empty: %w", database, err)
	}
	if len(tables) == 0 {
		return nil
	}
	return wrong("name a database that does not exist or is empty; the tester creates databases of its own beside it, "+
		"and drops them",
		"the database %s has %s in it: %s; nothing was touched", database, present.Plural(len(tables),
			"table"), present.List(tables, 3))
}

// create makes an empty database.
func (h *host) create(ctx context.Context) (*pgx.ConnConfig, made, error) {
	h.mutex.Lock()
	h.count++
	m := made{name: h.prefix + "_" + strconv.Itoa(h.count)}
	h.mutex.Unlock()
	admin := h.admin
	strategy := ""
	if !h.shared {
		server, err := devdb.Start(ctx, h.options)
		if err != nil {
			return nil, m, fmt.Errorf("starting a server for tests: %w", err)
		}
		m.server = server
		if admin, err = pgx.ParseConfig(server.URL("postgres")); err != nil {
			return nil, m, errors.Join(err, server.Stop())
		}
		if server.Version().Major >= 15 {
			strategy = " STRATEGY file_copy" // quicker, where checkpoints cost nothing
		}
	}
	conn, err := dial.Open(ctx, admin)
	if err != nil {
		return nil, m, errors.Join(h.cannotConnect(err), m.stop())
	}
	defer dial.Close(conn)
	name := pgx.Identifier{m.name}.Sanitize()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"+strategy); err != nil {
		return nil, m, errors.Join(fmt.Errorf("creating the database %s: %w", m.name, err), m.stop())
	}
	h.mutex.Lock()
	h.made = append(h.made, m)
	h.shown, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	h.mutex.Unlock()
	config := admin.Copy()
	config.Database = m.name
	delete(config.RuntimeParams, "application_name") // by which the engine's sessions are known
	return config, m, nil
}

func (m made) stop() error {
	if m.server == nil {
		return nil
	}
	return m.server.Stop()
}

// dropPatience is how long dropping may take after the trial was broken off.
const dropPatience = 20 * time.Second

// drop removes a database that create has made.
func (h *host) drop(ctx context.Context, m made) error {
	h.mutex.Lock()
	i := slices.Index(h.made, m)
	if i >= 0 {
		h.made = slices.Delete(h.made, i, i+1)
	}
	h.mutex.Unlock()
	if i < 0 {
		return nil // not ours, or gone already
	}
	if m.server != nil {
		return m.server.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
	defer cancel()
	conn, err := dial.Open(ctx, h.admin)
	if err == nil {
		defer dial.Close(conn)
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{m.name}.Sanitize()+" WITH (FORCE)")
	}
	if err != nil {
		return fmt.Errorf("dropping the database %s, which this trial had made: %w", m.name, err)
	}
	return nil
}

// retain leaves a database for a look, where that is wished; otherwise it is dropped.
func (h *host) retain(ctx context.Context, m made, state string) error {
	if !h.keep {
		return h.drop(ctx, m)
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.made = slices.DeleteFunc(h.made, func(o made) bool { return o == m })
	config := h.admin.Copy()
	config.Database = m.name
	h.keeper = append(h.keeper, Kept{Database: m.name, State: state, URL: shownURL(config)})
	return nil
}

// close drops what is left.
func (h *host) close() error {
	var failed error
	for _, m := range slices.Clone(h.made) {
		failed = errors.Join(failed, h.drop(context.Background(), m))
	}
	if h.guest != nil {
		failed = errors.Join(failed, h.guest.Stop())
	}
	return failed
}

func (h *host) version() string { return h.shown }
func (h *host) kept() []Kept    { return h.keeper }

// shownURL is how to connect, without the password.
func shownURL(c *pgx.ConnConfig) string { return addressOf(c, url.User(c.User)) }

func addressOf(c *pgx.ConnConfig, user *url.Userinfo) string {
	address := url.URL{Scheme: "postgres", User: user, Path: "/" + c.Database}
	if strings.HasPrefix(c.Host, "/") || strings.HasPrefix(c.Host, "@") {
		address.RawQuery = url.Values{"host": {c.Host}, "port": {strconv.Itoa(int(c.Port))}}.Encode()
		return address.String()
	}
	host := c.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	address.Host = host + ":" + strconv.Itoa(int(c.Port))
	return address.String()
}
