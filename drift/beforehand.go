package drift

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/schema"
)

// Expected is what the migrations make. It can be written as JSON and read back.
type Expected struct {
	schema.Schema
	// Beforehand is what was there before they ran.
	Beforehand Beforehand `json:"beforehand,omitzero"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Expected) UnmarshalJSON(text []byte) error {
	var rest struct {
		Beforehand Beforehand `json:"beforehand"`
	}
	if err := json.Unmarshal(text, &e.Schema); err != nil {
		return err
	}
	err := json.Unmarshal(text, &rest)
	e.Beforehand = rest.Beforehand
	return err
}

// Beforehand is what a database has before its migrations run, as they found it: nobody's
// drift. What the sandbox has of it need not be all that a platform has.
type Beforehand struct {
	Objects []schema.Object `json:"objects,omitempty"`
	Schemas []string        `json:"schemas,omitempty"` // that are in no empty database
}

// readBeforehand reads what a database has been furnished with.
func readBeforehand(ctx context.Context, conn *pgx.Conn, f devdb.Furnishing) (b Beforehand, err error) {
	if len(f.Prepare)+len(f.Extensions) == 0 {
		return b, nil
	}
	s, err := schema.Read(ctx, conn, schema.Options{})
	for _, object := range s.Objects {
		switch {
		case object.Kind == "database", object.Kind == "schema" && object.Name == "public":
			continue
		case object.Kind == "schema":
			b.Schemas = append(b.Schemas, object.Name)
		}
		b.Objects = append(b.Objects, object)
	}
	return b, err
}

// without takes what was there beforehand from what the migrations made, and from a live
// schema. Of an object that the migrations alter, what they alter stays in both.
func (b Beforehand) without(made, live schema.Schema) (wanted, found schema.Schema) {
	if len(b.Objects) == 0 {
		return made, live
	}
	before := map[schema.Reference]schema.Object{}
	for _, object := range b.Objects {
		before[object.Reference()] = object
	}
	altered := map[schema.Reference]map[string]bool{} // and by which of its properties
	own := map[schema.Reference]bool{}
	for _, object := range made.Objects {
		reference := object.Reference()
		if was, there := before[reference]; there {
			altered[reference] = changedProperties(was, object)
			if object = only(object, altered[reference]); len(altered[reference]) == 0 {
				continue
			}
		} else {
			own[reference] = true
		}
		wanted.Objects = append(wanted.Objects, object)
	}
	for _, object := range live.Objects {
		_, there := before[object.Reference()]
		changed, remains := altered[object.Reference()]
		switch {
		case remains && len(changed) == 0, !there && !own[object.Reference()] && b.ofPlatform(object):
			continue
		case remains:
			object = only(object, changed)
		}
		found.Objects = append(found.Objects, object) // also what the migrations drop
	}
	return wanted, found
}

// ofPlatform reports whether an object is in a schema that was there beforehand.
func (b Beforehand) ofPlatform(object schema.Object) bool {
	for _, name := range b.Schemas {
		if strings.HasPrefix(object.Name, name+".") || strings.Contains(object.Name, " on "+name+".") {
			return true
		}
	}
	return false
}

func changedProperties(before, after schema.Object) map[string]bool {
	changed := map[string]bool{}
	for _, properties := range []map[string]string{before.Properties, after.Properties} {
		for name := range properties {
			if after.Properties[name] != before.Properties[name] {
				changed[name] = true
			}
		}
	}
	return changed
}

// only is an object with these of its properties.
func only(object schema.Object, names map[string]bool) schema.Object {
	object.Properties = maps.Clone(object.Properties)
	maps.DeleteFunc(object.Properties, func(name, _ string) bool { return !names[name] })
	return object
}
