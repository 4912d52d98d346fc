package migration

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"
)

// timestampLayout is how a time becomes a version.
const timestampLayout = "20060102150405"

// maxNameLength is the length of the longest name that Template makes.
const maxNameLength = 100

// Draft describes a new migration file.
type Draft struct {
	Extension string  // "sql", "js", "cjs", "mjs" or "ts"
	Version   Version // see NextVersion; the date where it is empty
	Title     string  // any text with a letter or digit in it
	Author    string
	Date      time.Time
	Backfill  *Backfill // what to write into it; nil for an empty migration
}

// Template returns the name and the content of a new migration file. Of the
// title "Add users!" comes the name add_users.
func Template(d Draft) (file, content string, err error) {
	d.Extension = strings.ToLower(strings.TrimPrefix(d.Extension, "."))
	d.Title = oneLine(d.Title)
	if _, known := kindOf(d.Title); known {
		d.Title = strings.TrimSuffix(d.Title, path.Ext(d.Title))
	}
	name := normalise(d.Title)
	if name == "" {
		return "", "", &Error{Code: CodeBadName,
			Message: fmt.Sprintf("%q makes no name for a migration", d.Title),
			Remedy:  "use letters from a to z and digits, for example add_users"}
	}
	if d.Version == "" {
		d.Version = Version(d.Date.UTC().Format(timestampLayout))
	}
	file = fmt.Sprintf("%s_%s.%s", d.Version, name, d.Extension)
	if _, _, _, err := ParseName(file); err != nil {
		return "", "", err
	}
	body, err := d.body(name)
	if err != nil {
		return "", "", err
	}
	mark := "// "
	if d.Extension == "sql" {
		mark = "-- "
	}
	return file, comment(mark, []string{
		"Migration: " + name,
		"Author: " + oneLine(d.Author),
		"Date: " + d.Date.UTC().Format("2006-01-02 15:04:05 UTC"),
		"Description: " + d.Title,
	}) + body, nil
}

func (d Draft) body(name string) (string, error) {
	switch {
	case d.Backfill != nil && d.Extension != "sql":
		return "", &Error{Code: CodeBadName, Message: "the template of a backfill is SQL",
			Remedy: "leave the language away; in a script, client.batch does the same"}
	case d.Backfill != nil:
		return d.Backfill.body(d.Version)
	case d.Extension == "sql":
		return sqlBody, nil
	case d.Extension == "ts":
		return fmt.Sprintf(typeScriptBody, name, d.Title), nil
	case d.Extension == "mjs":
		return fmt.Sprintf(scriptBody, "export default", name, d.Title), nil
	}
	return fmt.Sprintf(scriptBody, "module.exports =", name, d.Title), nil
}

const sqlBody = `
-- +migrate Up


-- +migrate Down

`

// The functions of a new script fail until they are written: a down migration that
// does nothing would be believed.
const scriptBody = `
/// <reference path="./whimbrel.d.ts" />
/** @type {import('whimbrel').Migration} */
%s {
  name: %q,
  description: %q,

  async up(client) {
    throw new Error('up is not written yet'); // await client.query('…', []);
  },

  async down(client) {
    throw new Error('down is not written yet'); // without a down migration, delete it
  },
};
`

const typeScriptBody = `
/// <reference path="./whimbrel.d.ts" />
import type { Client } from 'whimbrel';

export default {
  name: %q,
  description: %q,

  async up(client: Client): Promise<void> {
    throw new Error('up is not written yet'); // await client.query('…', []);
  },

  async down(client: Client): Promise<void> {
    throw new Error('down is not written yet'); // without a down migration, delete it
  },
};
`

func comment(mark string, lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimRight(mark+line, " ") + "\n")
	}
	return text.String()
}

// oneLine makes of a text something that cannot leave its comment or quotes.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text, "")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

// normalise makes a snake_case name of ASCII letters and digits, at most
// maxNameLength long: "AddHTTPHeaders, please" becomes add_http_headers_please.
func normalise(title string) string {
	var name strings.Builder
	runes := []rune(title)
	for i, r := range runes {
		switch {
		case r >= 'A' && r <= 'Z':
			afterLower := i > 0 && (isLower(runes[i-1]) || isDigit(runes[i-1]))
			beforeLower := i > 0 && i+1 < len(runes) && isLower(runes[i+1])
			if afterLower || beforeLower {
				name.WriteByte('_')
			}
			name.WriteRune(unicode.ToLower(r))
		case isLower(r), isDigit(r):
			name.WriteRune(r)
		default:
			name.WriteByte('_')
		}
	}
	words := strings.FieldsFunc(name.String(), func(r rune) bool { return r == '_' })
	joined := strings.Join(words, "_")
	return strings.TrimRight(joined[:min(len(joined), maxNameLength)], "_")
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// NextVersion returns a version for a new migration that comes after all
// existing ones. It is the time as 14 digits in UTC, or the second after the
// newest one if that is later. Where the newest version is no such timestamp
// the sequence is continued in its width: after 0009 comes 0010.
func NextVersion(existing []Migration, now time.Time) Version {
	timestamp := Version(now.UTC().Format(timestampLayout))
	var newest Version
	for _, m := range existing {
		if digits(string(m.Version)) == len(m.Version) && (newest == "" || m.Version.Compare(newest) > 0) {
			newest = m.Version
		}
	}
	if newest == "" {
		return timestamp
	}
	moment, err := time.Parse(timestampLayout, string(newest))
	switch {
	case err != nil:
		return newest.successor()
	case timestamp.Compare(newest) > 0:
		return timestamp
	}
	return Version(moment.Add(time.Second).Format(timestampLayout))
}

// successor is the next number, in the same width.
func (v Version) successor() Version {
	digits := []byte(v)
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] != '9' {
			digits[i]++
			return Version(digits)
		}
		digits[i] = '0'
	}
	return Version("1" + string(digits))
}
