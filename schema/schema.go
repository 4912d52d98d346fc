// Package schema reads what a migration can change in a PostgreSQL database's
// catalog into a value, and compares two of them.
//
// [Read] gives a [Schema]: a list of objects with their properties, all of them
// text. Its [Schema.Fingerprint] is the same for two databases that were made
// alike, in whatever order, and for one that was dumped and restored; [Diff]
// says in words for people where two differ. The data of the tables, the
// current values of sequences, large objects and what belongs to the whole
// server (roles, tablespaces) are not part of a schema.
//
// Everything but Read is a function from values to values.
package schema

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
)

// Schema is what was found in a database. The objects are in order of kind and
// name, each of which occurs once. It can be written as JSON and read back.
type Schema struct {
	Objects []Object `json:"objects"`
}

// Object is something in the catalog that has a name: a table, a column, an
// index, a function.
type Object struct {
	// Kind is what it is, in PostgreSQL's own words: "table", "materialized view".
	Kind string `json:"kind"`
	// Name is how it is called within its kind, as SQL writes it: with its schema
	// ("public.users", "public.users.email"), with its arguments (a function:
	// "public.area(integer,integer)"), or with what it belongs to where the name is
	// no more than that ("set_time on public.users", a trigger).
	Name string `json:"name"`
	// Parents are the objects without which this one does not exist: the table of a
	// column, the constraint of an index. A difference that is only the consequence
	// of one in a parent is not told.
	Parents []Reference `json:"parents,omitempty"`
	// Properties are by name; one that is not set is absent and never empty.
	Properties map[string]string `json:"properties,omitempty"`
}

// Reference names an object.
type Reference struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Reference gives the name of the object together with its kind.
func (o Object) Reference() Reference { return Reference{Kind: o.Kind, Name: o.Name} }

// String is the reference as it is in a sentence: "column public.users.email".
func (r Reference) String() string {
	if r.Name == "" { // the database, of which there is one
		return r.Kind
	}
	return r.Kind + " " + r.Name
}

// fingerprintFormat is written before everything else, and goes up when equal
// databases get another fingerprint than before.
const fingerprintFormat = "whimbrel schema 1"

// Fingerprint is a SHA-256 in hexadecimal of everything in the schema. Two
// schemas that were read have the same fingerprint when [Diff] finds no difference between
// them, and only then. Compare fingerprints that were made by the same version
// of this package on the same major version of PostgreSQL: a newer one may see
// more, and each major writes some definitions in a way of its own.
func (s Schema) Fingerprint() string {
	sum := sha256.New()
	put(sum, fingerprintFormat)
	for _, object := range sorted(s.Objects) {
		put(sum, "object", object.Kind, object.Name)
		for _, name := range slices.Sorted(maps.Keys(object.Properties)) {
			if value := object.Properties[name]; value != "" {
				put(sum, "property", name, value)
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// put writes each text after its length, so that no two lists look alike.
func put(to hash.Hash, texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(to, "%d:%s", len(text), text)
	}
}

// Find gives the object of a kind and name.
func (s Schema) Find(kind, name string) (Object, bool) {
	for _, object := range s.Objects {
		if object.Kind == kind && object.Name == name {
			return object, true
		}
	}
	return Object{}, false
}

// UnmarshalJSON reads a schema that was written as JSON. Objects may be in any
// order; one that is there twice is an error.
func (s *Schema) UnmarshalJSON(text []byte) error {
	type plain Schema
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("reading a schema from JSON: %w", err)
	}
	objects := sorted(read.Objects)
	for i := range objects {
		for name, value := range objects[i].Properties {
			objects[i].Properties[name] = normal(name, value)
		}
		if i > 0 && objects[i].Reference() == objects[i-1].Reference() {
			return fmt.Errorf("reading a schema from JSON: %s occurs twice", objects[i].Reference())
		}
	}
	s.Objects = objects
	return nil
}

// sorted gives the objects in their order, as they are when they have it.
func sorted(objects []Object) []Object {
	if slices.IsSortedFunc(objects, inOrder) {
		return objects
	}
	return slices.SortedStableFunc(slices.Values(objects), inOrder)
}

func inOrder(a, b Object) int { return orderReferences(a.Reference(), b.Reference()) }

func orderReferences(a, b Reference) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// rank is the place of a kind among all; an unknown one comes last.
func rank(kind string) int {
	if i := slices.Index(kinds, kind); i >= 0 {
		return i
	}
	return len(kinds)
}

// kinds are all kinds of objects, in the order in which people would create
// them.
var kinds = []string{
	"database", "schema", "extension", "language", "access method",
	"type", "attribute", "domain", "collation", "conversion",
	"sequence", "table", "foreign table", "column", "constraint", "index", "statistics object",
	"view", "materialized view", "rule",
	"function", "procedure", "aggregate", "cast", "transform",
	"operator", "operator family", "operator class",
	"text search parser", "text search template", "text search dictionary", "text search configuration",
	"trigger", "policy", "event trigger",
	"foreign-data wrapper", "foreign server", "user mapping",
	"publication", "publication table", "publication schema", "subscription",
	"default privileges", "privileges",
}
