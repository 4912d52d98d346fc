package devdb

// Furnishing is what a throw-away database has before a migration runs in it, because the databases on which the
// migrations are to run have it from elsewhere: from a platform, or from those who made the server. The zero value adds
// nothing but the roles that the migrations name and nobody creates.
type Furnishing struct {
	// Roles and Extensions are created first. The roles cannot log in.
	Roles, Extensions []string
	// Prepare are files of SQL, which run next, by the role that the migrations run as.
	Prepare []File
	// Copied are roles that a live server has: those that the migrations do not create are created. Settings are those
	// of a live database, and of the role that migrations run as there.
	Copied   []string
	Settings []Setting
	// Missing is told of each role that was created only because a migration names it: it may be misspelt. May be nil;
	// may be called by several goroutines.
	Missing func(MissingRole)
}

// File is a text and the path by which its readers know it.
type File struct{ Path, Text string }

// Setting is a setting of PostgreSQL, with its value as SHOW gives it.
type Setting struct{ Name, Value string }

// MissingRole is a role that migrations name and nothing creates, and where it is named first.
type MissingRole struct {
	Role   string `json:"role"`
	Path   string `json:"path"`
	Line   int    `json:"line"` // from 1
	Column int    `json:"column"`
}

// MissingRoleCheck is the name of the remark on one.
const MissingRoleCheck = "role-not-made-here"

// String says what it means, without the place.
func (m MissingRole) String() string {
	return "role \"" + m.Role + "\" is created by no migration and no prepare file, so the throw-away server got one: " +
		"if databases have it from elsewhere, list it in sandbox.roles; else correct the name"
}

// Texts are what is run beforehand, for Lent.
func (f Furnishing) Texts() (texts []string) {
	for _, file := range f.Prepare {
		texts = append(texts, file.Text)
	}
	return texts
}
