package whimbreltest

import (
	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Option says how a database differs from the usual.
type Option func(*recipe)

// Dir names the folder of the migrations in the file system; without it they
// lie at its root. It is what an embed.FS needs.
func Dir(folder string) Option { return func(r *recipe) { r.folder = folder } }

// UpTo applies the migrations up to a version, that one included, and none of
// the later ones: for tests of a migration itself.
func UpTo(version migration.Version) Option { return func(r *recipe) { r.upTo = version } }

// Functions are migrations written in Go. Their code has no checksum, so every
// build of the test binary makes a template of its own.
func Functions(functions ...whimbrel.Function) Option {
	return func(r *recipe) { r.functions = append(r.functions, functions...) }
}

// Scripts runs migrations in JavaScript and TypeScript; see package js.
func Scripts(runtime whimbrel.Runtime) Option { return func(r *recipe) { r.scripts = runtime } }

// Subfolders reads the folders in that of the migrations as well.
func Subfolders() Option { return func(r *recipe) { r.subfolders = true } }

// Variables are the values of what migrations ask for by the annotation Variables.
func Variables(values map[string]string) Option { return func(r *recipe) { r.variables = values } }

// Prepare runs files of SQL, by their paths in the file system of the migrations, before the first migration: what
// databases have from elsewhere, such as the schema of a platform.
func Prepare(files ...string) Option {
	return func(r *recipe) { r.prepare = append(r.prepare, files...) }
}

// Roles are roles that databases have from elsewhere. They are created on the server of the tests, cannot log in, and
// stay there. What migrations grant to roles that nothing creates needs no mention.
func Roles(names ...string) Option {
	return func(r *recipe) { r.furnishing.Roles = append(r.furnishing.Roles, names...) }
}

// Extensions are created before the first migration.
func Extensions(names ...string) Option {
	return func(r *recipe) { r.furnishing.Extensions = append(r.furnishing.Extensions, names...) }
}

// Table is the name of the history table, if it is not the usual one.
func Table(name string) Option { return func(r *recipe) { r.table = name } }

// Major asks for a major version of PostgreSQL, as 17. Without it any will do:
// the newest that is installed.
func Major(version int) Option { return func(r *recipe) { r.major = version } }
