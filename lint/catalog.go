package lint

import "fmt"

// Catalog is what a database holds before the migrations that are judged. Package
// rehearsal reads it from one.
type Catalog struct {
	// Major is the server's version.
	Major int `json:"major"`
	// Statements make the schema, in an order in which each has what it needs.
	Statements []string `json:"statements"`
	// Rows are estimates by the names of the tables, with schema and without quotes.
	Rows map[string]int64 `json:"rows,omitempty"`
	// Invalid are the names of indexes that are not valid, likewise.
	Invalid []string `json:"invalid,omitempty"`
	// Path is the search_path of sessions that set none.
	Path []string `json:"path,omitempty"`
}

// load makes the model what the catalog says.
func (m *model) load(c Catalog) error {
	for _, text := range c.Statements {
		nodes, err := m.parser.Parse(text)
		if err != nil {
			return fmt.Errorf("reading the catalog: %w: %s", err, text)
		}
		for _, n := range nodes {
			m.apply(n)
		}
	}
	for name, rows := range c.Rows {
		for _, r := range m.relations {
			if r.name.Schema+"."+r.name.Object == name {
				r.rows = rows
			}
		}
	}
	for _, name := range c.Invalid {
		for _, i := range m.indexes {
			if i.name.Schema+"."+i.name.Object == name {
				i.valid = false
			}
		}
	}
	for _, r := range m.relations {
		r.created, r.assumed = 0, false
	}
	m.complete = true
	if len(c.Path) > 0 {
		m.path = c.Path
	}
	return nil
}
