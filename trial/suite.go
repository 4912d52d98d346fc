package trial

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/migration"
)

// suite is all rows and queries of a folder of tests.
type suite struct {
	sets    []*set
	queries []*query
}

// spot is a place in a file of tests.
type spot = yamlpos.Place

// set is rows of one table that are inserted together, or an SQL file.
type set struct {
	spot
	table  string
	before migration.Version // inserted right before it …
	at     migration.Version // … or right after this one
	key    []string
	rows   []given
	then   []change
	script string // of an SQL file, in place of the rows
	place  int    // so many migrations are applied when it is due
}

// change is what has become of a set's rows, on purpose.
type change struct {
	spot
	after migration.Version
	table string
	key   []string
	rows  []given
	place int // from so many applied migrations on
}

// given is one row as it is written in a file.
type given struct {
	spot
	columns []string
	values  []value
}

// value is a value as it is written in a file.
type value struct {
	spot
	null bool
	text string
	// list or mapping: text is then its JSON, and parsed what it was made of.
	structured bool
	parsed     any
}

// query is a query with what is expected of it.
type query struct {
	spot
	name         string
	sql          string
	parameters   []value
	after, until migration.Version
	limit        time.Duration
	runs         int
	fail         bool
	count        *int
	rows         []expectedRow
	hasRows      bool
	from, to     int // the numbers of applied migrations for which it is asked
}

// expectedRow is a row of a result: values in order, or by column.
type expectedRow struct {
	spot
	columns []string // nil: in order
	values  []value
}

// The defaults of a query.
const (
	defaultLimit = 1000 * time.Millisecond
	defaultRuns  = 5
)

// readSuite reads a folder of tests. The error joins one for everything that is wrong.
func readSuite(folder fs.FS, label string) (*suite, error) {
	s := &suite{}
	if folder == nil {
		return s, nil
	}
	entries, err := fs.ReadDir(folder, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, entry := range entries {
		name := entry.Name()
		extension := strings.ToLower(path.Ext(name))
		if entry.IsDir() || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
			!slices.Contains([]string{".yaml", ".yml", ".sql"}, extension) {
			continue
		}
		text, err := migration.ReadFile(folder, name)
		if err != nil {
			problems = append(problems, spot{Path: path.Join(label, name)}.Wrong("put a file in its place, and see that it "+
				"can be read",
				"cannot be read: %v", err))
			continue
		}
		if extension == ".sql" {
			err = s.addScript(path.Join(label, name), text)
		} else {
			err = s.addYAML(path.Join(label, name), []byte(text))
		}
		problems = append(problems, err)
	}
	return s, errors.Join(problems...)
}

// addScript takes an SQL file, whose name says before which migration it runs.
func (s *suite) addScript(file, text string) error {
	version, _, _, err := migration.ParseName(path.Base(file))
	if err != nil {
		return spot{Path: file}.Wrong("name it like a migration: 20240301120000_customers.sql runs right before the "+
			"migration 20240301120000",
			"the name of a file of rows begins with the version of a migration")
	}
	s.sets = append(s.sets, &set{spot: spot{Path: file, Line: 1, Column: 1}, before: version, script: text})
	return nil
}

// check finds the places of everything in a history.
func (s *suite) check(h history) error {
	var problems []error
	place := func(at spot, version migration.Version, applied bool) int {
		i := slices.IndexFunc(h.migrations, func(m migration.Migration) bool { return m.Version.Equal(version) })
		if i < 0 {
			problems = append(problems, at.Wrong("give the version of a migration", "migration %s does not exist", version))
		}
		if applied {
			i++
		}
		return i
	}
	for _, set := range s.sets {
		if set.at != "" {
			set.place = place(set.spot, set.at, true)
		} else {
			set.place = place(set.spot, set.before, false)
		}
		for i := range set.then {
			c := &set.then[i]
			c.place = place(c.spot, c.after, true)
			if c.place > 0 && c.place <= set.place {
				problems = append(problems, c.Wrong("name a later migration", "the rows are only inserted after migration %s",
					c.after))
			}
		}
		slices.SortStableFunc(set.then, func(a, b change) int { return a.place - b.place })
	}
	names := map[string]bool{}
	for _, q := range s.queries {
		q.to = len(h.migrations)
		if q.after != "" {
			q.from = place(q.spot, q.after, true)
		}
		if q.until != "" {
			q.to = place(q.spot, q.until, true)
		}
		if names[q.name] {
			problems = append(problems, q.Wrong("give each a name of its own", "there are two queries named %q", q.name))
		}
		names[q.name] = true
	}
	return errors.Join(problems...)
}

// places are where rows are due, as numbers of applied migrations.
func (s *suite) places() []int {
	var places []int
	for _, set := range s.sets {
		places = append(places, set.place)
	}
	return places
}
