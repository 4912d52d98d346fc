package adopt

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/foreign"
)

// Table is where another tool keeps its history in a database.
type Table struct {
	Tool         string // the name of its format
	Schema, Name string

	tool  tool
	place foreign.Table
}

// String is the table's name with its schema, for people.
func (t Table) String() string { return t.Schema + "." + t.Name }

func (t Table) quoted() string { return t.place.Quoted() }

// Find looks for the histories of other tools, in all schemas. Where a name is
// given, with or without a schema, it looks at the tables of that name only;
// what tools they are of, their columns say. It only reads.
//
// Those of tools that cannot be adopted are among them; Choose says so.
func Find(ctx context.Context, conn *pgx.Conn, named string) ([]Table, error) {
	tables, err := foreign.Tables(ctx, conn)
	if err != nil {
		return nil, failed("looking for the tables of other tools", err)
	}
	var found []Table
	for _, place := range tables {
		for _, t := range toolsOf(place.Relation) {
			if named == "" && t.Calls(place.Relation) || named != "" && (named == place.Name || named == place.String()) {
				found = append(found, Table{Tool: t.Name, Schema: place.Schema, Name: place.Name, tool: t, place: place})
			}
		}
	}
	return found, nil
}

// toolsOf are the tools that can be adopted and make such a table; where there are none,
// the one that cannot.
func toolsOf(r foreign.Relation) (all []tool) {
	for _, t := range tools() {
		if t.Has(r) {
			all = append(all, t)
		}
	}
	if owner, known := foreign.Owner(r); known && len(all) == 0 {
		return []tool{{Tool: owner}}
	}
	return all
}

// Read reads what the other tool knows.
func (t Table) Read(ctx context.Context, conn *pgx.Conn) (History, error) {
	rows, err := t.tool.Records(ctx, conn, t.place)
	if err != nil {
		return History{}, failed("reading "+t.String(), err)
	}
	h := History{Table: t}
	for _, r := range rows {
		h.Records = append(h.Records, Record{
			Key: r.Key, Name: r.Name, Checksum: r.Checksum, At: r.At, Took: r.Took, State: State(r.State), Note: r.Note,
		})
	}
	return h, nil
}
