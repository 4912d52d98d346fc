package squash

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// dumper is a pg_dump, and the version of the servers that it is used with.
type dumper struct {
	path  string
	major int
}

// findDump looks for a pg_dump: beside the server's programs, or else on PATH. It
// reads servers of its own version and older ones.
func findDump(ctx context.Context, major int, progress func(string)) (dumper, error) {
	server, err := devdb.Find(ctx, devdb.FindOptions{Major: major, Progress: progress})
	if err != nil {
		message, remedy := devdb.Explain(err)
		return dumper{}, &whimbrel.Error{
			Code: whimbrel.CodeUnsupported, Message: "squash needs a PostgreSQL server to replay the migrations on: " + message,
			Remedy: remedy, Err: err,
		}
	}
	return dumpFor(ctx, server)
}

// dumpFor finds the pg_dump for a server.
func dumpFor(ctx context.Context, server devdb.Binaries) (dumper, error) {
	var unfit []string
	for _, program := range []string{filepath.Join(server.Dir, "pg_dump"), "pg_dump"} {
		path, err := exec.LookPath(program)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			continue
		}
		version := 0
		if err == nil {
			version, err = versionOf(ctx, path)
		}
		switch {
		case ctx.Err() != nil:
			return dumper{}, ctx.Err()
		case err != nil:
			unfit = append(unfit, fmt.Sprintf("%s cannot be run: %v", cmp.Or(path, program), err))
		case version < server.Major:
			unfit = append(unfit, fmt.Sprintf("%s is that of PostgreSQL %d, which reads no newer server", path, version))
		default:
			return dumper{path: path, major: server.Major}, nil
		}
	}
	return dumper{}, &whimbrel.Error{
		Code: whimbrel.CodeUnsupported,
		Message: fmt.Sprintf("squash needs the program pg_dump of PostgreSQL %d or newer, which is neither beside the "+
			"server in %s nor on PATH", server.Major, server.Dir),
		Detail: strings.Join(unfit, "\n"),
		Remedy: fmt.Sprintf("install it (Debian, Ubuntu: apt-get install postgresql-client-%d; macOS: brew install libpq), "+
			"or choose another server with Options.Major",
			server.Major),
	}
}

var shownVersion = plaintext.Pattern(`\(PostgreSQL\) (\d+)`)

func versionOf(ctx context.Context, program string) (int, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return 0, err
	}
	found := shownVersion().FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("%s says no version: %s", program, out)
	}
	return strconv.Atoi(string(found[1]))
}

// dump writes a database down: what tables are made of, rows, and what is put on
// top of them (keys, indexes, triggers).
func (p dumper) dump(ctx context.Context, d *database, kept []table) ([]migration.Statement, error) {
	var all []migration.Statement
	for _, section := range []string{"pre-data", "data", "post-data"} {
		arguments := []string{"--dbname=" + d.url, "--section=" + section, "--exclude-schema=" + ownSchema,
			"--no-security-labels"}
		if section == "data" {
			if len(kept) == 0 {
				continue
			}
			arguments = append(arguments, "--column-inserts", "--rows-per-insert=100")
			for _, t := range kept {
				arguments = append(arguments, "--table="+t.name)
			}
		}
		statements, err := p.section(ctx, arguments)
		if err != nil {
			return nil, err
		}
		all = append(all, statements...)
	}
	all, err := d.without(all)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s migration.Statement) bool { return isNoise(s, d.role) }), nil
}

// without takes from a dump what was there before the migrations ran. What they alter of
// that, a dump writes as something new.
func (d *database) without(dump []migration.Statement) ([]migration.Statement, error) {
	is := map[string]bool{}
	for _, s := range dump {
		is[s.Text] = true
	}
	was := map[string]bool{}
	for _, s := range d.before.dump {
		if was[s.Text] = true; !is[s.Text] && strings.HasPrefix(s.Command, "CREATE ") {
			first, _, _ := strings.Cut(s.Text, "\n")
			return nil, &whimbrel.Error{Code: whimbrel.CodeSquash,
				Message: "the migrations alter what is there before them, and a baseline cannot say how: " + first,
				Remedy:  "squash up to a version before the first migration that alters it; nothing was changed"}
		}
	}
	return slices.DeleteFunc(dump, func(s migration.Statement) bool { return was[s.Text] }), nil
}

func (p dumper) section(ctx context.Context, arguments []string) ([]migration.Statement, error) {
	var problems bytes.Buffer
	command := exec.CommandContext(ctx, p.path, arguments...)
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &whimbrel.Error{Code: whimbrel.CodeSquash, Message: "pg_dump failed: " +
			strings.TrimSpace(problems.String()), Err: err, Remedy: "see what it says; nothing was changed"}
	}
	statements, err := pgsql.Split(withoutGuard(string(out)), pgsql.Options{})
	if err != nil {
		return nil, fmt.Errorf("reading what pg_dump wrote: %w", err)
	}
	all := make([]migration.Statement, len(statements))
	for i, s := range statements {
		all[i] = migration.Statement{Statement: s}
	}
	return all, nil
}

// guard is the first of the pair of psql's commands that newer versions of
// pg_dump write around everything, with a word of chance: before any statement.
var guard = plaintext.Pattern(`\A(?:--[^\n]*\n|\n)*\\restrict ([A-Za-z0-9]+)\n`)

func withoutGuard(text string) string {
	found := guard().FindStringSubmatch(text)
	if found == nil {
		return text
	}
	text = strings.Replace(text, "\\restrict "+found[1]+"\n", "\n", 1)
	return strings.Replace(text, "\n\\unrestrict "+found[1], "\n", 1)
}

var owner = plaintext.Pattern(`(?s)^ALTER .* OWNER TO (.+)$`)

// isNoise reports whether a statement of a dump says nothing about the schema:
// settings of the session that restores it, comments that extensions bring along,
// and that what the migrations made belongs to who ran them.
func isNoise(s migration.Statement, role string) bool {
	if s.Class == pgsql.Setting || strings.HasPrefix(s.Text, "SELECT pg_catalog.set_config(") || strings.HasPrefix(s.Text,
		"COMMENT ON EXTENSION ") {
		return true
	}
	found := owner().FindStringSubmatch(s.Text)
	return found != nil && pgsql.Identifier(found[1]) == role
}

// write makes a migration of statements.
func (w *work) write(dump []migration.Statement) (text string, count int) {
	var b strings.Builder
	b.WriteString(w.head())
	all := append(w.serverWide(), dump...)
	if len(all) == 0 {
		b.WriteString("SELECT 1; -- nothing is left of what they made\n")
	}
	previous := ""
	for _, s := range all {
		if previous != "" && (s.Command != previous || strings.Contains(s.Text, "\n")) {
			b.WriteString("\n")
		}
		b.WriteString(s.Text + ";\n")
		previous = s.Command
	}
	return b.String(), len(all)
}

var makesRole = plaintext.Pattern(`(?i)\bCREATE\s+(?:ROLE|USER|GROUP)\b`)

// serverWide are the statements of the members that concern the whole server:
// roles, and who is a member of them. They are taken over as they were written,
// since they are in no database, and thus in no dump.
func (w *work) serverWide() (all []migration.Statement) {
	for _, m := range w.members {
		for _, s := range m.Up.Statements {
			if isServerWide(s) {
				all = append(all, s)
			}
		}
	}
	return all
}

func isServerWide(s migration.Statement) bool {
	words := strings.Fields(s.Command)
	switch {
	case s.Command == "DO":
		return makesRole().MatchString(s.Text)
	case len(words) > 1 && slices.Contains([]string{"CREATE", "ALTER", "DROP"}, words[0]):
		return slices.Contains([]string{"ROLE", "USER", "GROUP"}, words[1]) && !(len(words) > 2 && words[2] == "MAPPING")
	case s.Command == "GRANT", s.Command == "REVOKE":
		return !pgsql.HasKeyword(s.Text, "ON") // rights on something, not membership in a role
	}
	return false
}
