package pgsql

import "slices"

// Effect is what a statement does to a table, as far as its text tells.
type Effect string

// The effects.
const (
	Reads   Effect = "reads"      // reads rows, or only names the table
	Brief   Effect = "brief lock" // changes the catalog
	Rows    Effect = "rows"       // inserts, updates or deletes rows
	Scan    Effect = "scan"       // reads the whole table under a lock that stops writers or more
	Builds  Effect = "index"      // builds an index
	Rewrite Effect = "rewrite"    // rewrites the table
)

// effects are in the order of their weight.
var effects = []Effect{Reads, Brief, Rows, Scan, Builds, Rewrite}

// Needs that are no privilege of PostgreSQL's, or not of all its versions.
const (
	NeedsOwner    = "OWNER"
	NeedsMaintain = "MAINTAIN"
)

// Touch is what a statement does to a relation that it names.
type Touch struct {
	Schema, Name string // as in the catalog; Schema is "" where none is written
	Effect       Effect
	// AtWorst is set where less may happen than the effect says.
	AtWorst bool
	// Concurrent is set where writers go on meanwhile.
	Concurrent bool
	// Needs is what the role must have: privileges as PostgreSQL names them, or one of
	// the above.
	Needs []string
}

// Touched is what the text of a statement tells. Package lint reads it, by PostgreSQL's
// grammar.
type Touched struct {
	Tables []Touch
	// Opaque says why there may be more than that: a function or a DO block.
	Opaque string
	// Makes is what it makes that needs the right to, if it does.
	Makes *Makes
}

// Makes is something new in a schema, or in the database.
type Makes struct {
	Schema   string // "" for the first of the search_path; that which is made by CREATE SCHEMA
	Database bool
}

// Add notes a touch. Of each relation there is one: the heaviest, with all that is needed.
func (t *Touched) Add(touch Touch) {
	i := slices.IndexFunc(t.Tables, func(o Touch) bool { return o.Schema == touch.Schema && o.Name == touch.Name })
	if i < 0 {
		t.Tables = append(t.Tables, touch)
		return
	}
	is := &t.Tables[i]
	for _, n := range is.Needs {
		if !slices.Contains(touch.Needs, n) {
			touch.Needs = append(slices.Clip(touch.Needs), n)
		}
	}
	if slices.Index(effects, touch.Effect) > slices.Index(effects, is.Effect) {
		*is = touch
	}
	is.Needs = touch.Needs
}
