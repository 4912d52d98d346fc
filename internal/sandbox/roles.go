package sandbox

import (
	"regexp"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// cast are the roles of a history: those that its migrations need, where each is named
// first, and what is known of those that they create.
type cast struct {
	needed  []devdb.MissingRole
	created map[string]bool
	// computing are texts that create a role whose name is computed. It may be any that the
	// text has as a word.
	computing []string
	// unknown is the first version behind which a role may have been created that no text
	// names; "" where there is none.
	unknown migration.Version
}

// castOf reads the roles of what runs in a database.
func castOf(p Program) cast {
	c := cast{created: map[string]bool{}}
	for _, file := range p.Furnishing.Prepare {
		c.creates(pgsql.Roles(file.Text), file.Text, "")
	}
	for _, f := range p.Functions {
		c.mayCreate(f.Version)
	}
	filled := slices.Clone(p.Migrations)
	for i, m := range filled {
		up, err := m.WithVariables(p.Variables, false)
		down, downErr := m.WithVariables(p.Variables, true)
		if err == nil && downErr == nil { // else the run of it reports the error
			up.Down = down.Down
			filled[i] = up
		}
		c.migration(filled[i])
	}
	for _, m := range filled {
		c.needs(m)
	}
	return c
}

// mayCreate notes that something creates roles of which nothing is known.
func (c *cast) mayCreate(version migration.Version) {
	if c.unknown == "" || version.Compare(c.unknown) < 0 {
		c.unknown = version
	}
}

func (c *cast) creates(found pgsql.RoleNames, text string, version migration.Version) {
	for _, role := range found.Created {
		c.created[role.Name] = true
	}
	if found.Computed {
		c.computing = append(c.computing, text)
		if version != "" {
			c.mayCreate(version)
		}
	}
}

// migration reads what one creates on its way up.
func (c *cast) migration(m migration.Migration) {
	for _, s := range m.Up.Statements {
		c.creates(pgsql.Roles(s.Text), s.Text, m.Version)
	}
	for _, literal := range literals(m) {
		c.creates(rolesOfProgram(literal.Text), m.Text, m.Version)
	}
}

// needs reads what one needs in either direction.
func (c *cast) needs(m migration.Migration) {
	for _, section := range []migration.Section{m.Up, m.Down} {
		for _, s := range section.Statements {
			for _, role := range pgsql.Roles(s.Text).Needed {
				path, place := placeOf(m, section, s, role.Offset)
				c.need(m, role.Name, path, place)
			}
		}
	}
	for _, literal := range literals(m) {
		for _, role := range pgsql.Roles(literal.Text).Needed {
			c.need(m, role.Name, m.Path, pgsql.PositionAt(m.Text, literal.Offset+role.Offset))
		}
	}
}

// need notes a role that nothing creates, where it is named first.
func (c *cast) need(m migration.Migration, role, path string, at migration.Position) {
	named := func(n devdb.MissingRole) bool { return n.Role == role }
	behind := c.unknown != "" && (m.Version.Repeatable() || m.Version.Compare(c.unknown) >= 0)
	if behind || c.mayBeCreated(role) || slices.ContainsFunc(c.needed, named) {
		return
	}
	c.needed = append(c.needed, devdb.MissingRole{Role: role, Path: path, Line: at.Line, Column: at.Column})
}

// mayBeCreated reports whether a text creates the role, or may.
func (c *cast) mayBeCreated(role string) bool {
	word := regexp.MustCompile(`(?i)(^|[^\pL\pN_$])` + regexp.QuoteMeta(role) + `($|[^\pL\pN_$])`)
	return c.created[role] || slices.ContainsFunc(c.computing, word.MatchString)
}

// placeOf is where an offset of a statement is in its file.
func placeOf(m migration.Migration, section migration.Section, s migration.Statement,
	offset int) (path string, at migration.Position) {
	at = pgsql.PositionAt(m.Text, s.OffsetInFile(offset))
	if section.Path == "" {
		return m.Path, at
	}
	at.Line -= pgsql.PositionAt(m.Text, section.Start).Line - 1
	return section.Path, at
}

// literal is a piece of a program that may be SQL.
type literal struct {
	Text   string
	Offset int
}

var quoted = plaintext.Pattern("`[^`]*`|'[^'\n]*'|\"[^\"\n]*\"")

// literals are the quoted texts of a script. They are read for what they look like: a
// program may compute what it sends.
func literals(m migration.Migration) (all []literal) {
	if m.Kind != migration.Script {
		return nil
	}
	for _, found := range quoted().FindAllStringIndex(m.Text, -1) {
		all = append(all, literal{m.Text[found[0]+1 : found[1]-1], found[0] + 1})
	}
	return all
}

var createsRole = plaintext.Pattern(`(?i)^\s*CREATE\s+(?:ROLE|USER|GROUP)\b`)

// rolesOfProgram reads a text of a program, of which a part may be computed.
func rolesOfProgram(text string) pgsql.RoleNames {
	found := pgsql.Roles(text)
	if createsRole().MatchString(text) && (len(found.Created) == 0 || strings.Contains(text, "${")) {
		found.Computed = true
	}
	return found
}
