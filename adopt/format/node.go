package format

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file reads the formats of tools that run on Node.js. Their JavaScript and
// TypeScript whimbrel runs itself: a line at its end says which tool's object it is
// to be called with. What that object does not have is an error when it is called.

var (
	nodeFile      = plaintext.Pattern(`^(\d+)[_-](.+)\.(sql|js|cjs|mjs|ts|cts|mts)$`)
	nodeScript    = plaintext.Pattern(`^(\d+)[_-](.+)\.(js|cjs|mjs|ts|cts|mts)$`)
	nodeUp        = plaintext.Pattern(`(?i)^\s*--[\s-]*up\s+migration`)
	nodeDown      = plaintext.Pattern(`(?i)^\s*--[\s-]*down\s+migration`)
	nodeMarked    = plaintext.Pattern(`(?im)^\s*--[\s-]*up\s+migration`)
	pgmCode       = plaintext.Pattern(`\bpgm\b`)
	knexCode      = plaintext.Pattern(`\bknex\b`)
	dbCode        = plaintext.Pattern(`\bdb-migrate\b|\bdbmigrate\b|\bdbm\b`)
	noTransaction = plaintext.Pattern(`\bpgm\s*\.\s*noTransaction\b`)
)

// contains reports whether a file of a pattern has something in it.
func (f folder) contains(pattern, mark *regexp.Regexp) bool {
	return slices.ContainsFunc(f.wholeFiles(pattern), func(m match) bool {
		text, err := f.read(m.file)
		return err == nil && mark.MatchString(text)
	})
}

// nodeMarks turns whimbrel's marks into those of node-pg-migrate.
var nodeMarks = strings.NewReplacer("-- +migrate Up", "-- Up Migration", "-- +migrate Down", "-- Down Migration")

func detectNodePGMigrate(f folder) bool {
	return f.contains(sqlFile(), nodeMarked()) || f.contains(nodeScript(), pgmCode())
}

func readNodePGMigrate(f folder, p *Project) error {
	for _, m := range f.matching(nodeFile()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{
			version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: stem(m.file), text: text,
			tool: "node-pg-migrate", marks: nodeMarks,
		}
		if m.parts[3] != "sql" {
			p.Files = append(p.Files, f.script(d, "node-pg-migrate"))
			continue
		}
		d.text = lines(text, func(line string) string {
			switch {
			case nodeUp().MatchString(line):
				return markUp
			case nodeDown().MatchString(line):
				d.hasDown = true
				return markDown
			}
			return line
		})
		p.Files = append(p.Files, d.file())
	}
	return nil
}

func detectKnex(f folder) bool { return f.contains(nodeScript(), knexCode()) }

func readKnex(f folder, p *Project) error {
	for _, m := range f.matching(nodeScript()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: m.file, text: text}
		p.Files = append(p.Files, f.script(d, "knex"))
	}
	return nil
}

// stem is a file's name without its extension.
func stem(file string) string { return strings.TrimSuffix(file, path.Ext(file)) }

// script makes a migration of a script for a tool.
func (f folder) script(d draft, tool string) File {
	if noTransaction().MatchString(d.text) {
		d.unfit = unfit("run it with "+tool+" and adopt its history again, or write it in SQL",
			"only %s can run it: it asks for no transaction", tool)
		return d.file()
	}
	d.text = migration.WithClient(d.text, tool)
	script, err := migration.ParseScript(d.version, d.name, d.path, d.text)
	if err != nil {
		problem := *migration.Problems(err)[0]
		d.unfit = &problem
		return d.file()
	}
	script.Folder = f.fsys
	return File{Migration: script, Key: d.key}
}

// db-migrate: with --sql-file, the JavaScript does nothing but load a pair of
// files from the folder sqls.

func detectDBMigrate(f folder) bool {
	return slices.Contains(f.dirs, "sqls") && len(f.matching(nodeScript())) > 0 || f.contains(nodeScript(), dbCode())
}

func readDBMigrate(f folder, p *Project) error {
	for _, m := range f.matching(nodeScript()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: stem(m.file),
			text: text}
		up, down := "sqls/"+d.key+"-up.sql", "sqls/"+d.key+"-down.sql"
		if sql, err := f.read(up); err != nil {
			d.unfit = unfit("run it with db-migrate and adopt its history again, or write it in SQL",
				"only db-migrate can run it: it has no file %s", up)
		} else {
			d.path, d.text = f.path(up), sql
			if blank(sql) {
				d.text = nothing
			}
			if sql, err := f.read(down); err == nil {
				d.join(sql, f.path(down))
			}
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}

// Prisma: a folder per migration, with a file migration.sql.

var prismaFolder = plaintext.Pattern(`^(\d+)_(.*)$`)

func detectPrisma(f folder) bool {
	return slices.ContainsFunc(f.dirs, func(dir string) bool {
		_, err := f.read(dir + "/migration.sql")
		return err == nil && prismaFolder().MatchString(dir)
	})
}

func readPrisma(f folder, p *Project) error {
	for _, dir := range f.dirs {
		parts := prismaFolder().FindStringSubmatch(dir)
		if parts == nil {
			continue
		}
		name := dir + "/migration.sql"
		raw, err := f.raw(name)
		if err != nil {
			return err
		}
		text := plaintext.LF(raw)
		d := draft{version: migration.Version(parts[1]), name: parts[2], path: f.path(name), key: dir, text: text,
			unmarked: true}
		if blank(withoutComments(text)) {
			d.text = nothing + text
		}
		p.Files = append(p.Files, d.file().hashed(raw))
	}
	return nil
}

// hashed gives the file the SHA-256 of its text.
func (f File) hashed(raw string) File {
	f.Checksum = digest.SHA256(plaintext.LF(raw))
	for _, text := range plaintext.Variants(raw) {
		f.Checksums = append(f.Checksums, digest.SHA256(text))
	}
	return f
}

// Drizzle: meta/_journal.json lists the files, and the time that represents
// each in the table.

func detectDrizzle(f folder) bool {
	_, err := f.read(drizzleJournal)
	return err == nil
}

const drizzleJournal = "meta/_journal.json"

func readDrizzle(f folder, p *Project) error {
	text, err := f.read(drizzleJournal)
	if err != nil {
		return err
	}
	var journal struct {
		Entries []struct {
			When int64  `json:"when"`
			Tag  string `json:"tag"`
		} `json:"entries"`
	}
	if err := json.Unmarshal([]byte(text), &journal); err != nil {
		return &migration.Error{Code: migration.CodeUnreadable, Path: f.path(drizzleJournal),
			Message: "it is not Drizzle's journal: " + err.Error(), Remedy: "restore it from version control"}
	}
	for _, entry := range journal.Entries {
		parts := nodeFile().FindStringSubmatch(entry.Tag + ".sql")
		if parts == nil || strings.ContainsAny(entry.Tag, "/\\") {
			return f.badName(drizzleJournal, fmt.Sprintf("the tag %q does not begin with a number", entry.Tag),
				"give it one, there and in the file's name")
		}
		raw, err := f.raw(entry.Tag + ".sql")
		if err != nil {
			return err
		}
		text := plaintext.LF(raw)
		d := draft{version: migration.Version(parts[1]), name: parts[2], path: f.path(entry.Tag + ".sql"),
			key: fmt.Sprint(entry.When), text: drizzleBreaks(text), unmarked: true}
		if blank(withoutComments(text)) {
			d.text = nothing + d.text
		}
		p.Files = append(p.Files, d.file().hashed(raw))
	}
	return nil
}

// drizzleBreaks ends a statement where Drizzle does.
func drizzleBreaks(text string) string {
	return strings.ReplaceAll(text, "--> statement-breakpoint", ";--> statement-breakpoint")
}
