package migration

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Backfill describes a migration that changes the rows of a table that is in
// use: which table, and by which key it is gone through in batches. Names are
// written as in SQL.
type Backfill struct {
	Table string
	Key   string // one or more columns with commas between them
	// Into is a new table to which the values are moved. Where it is empty they
	// are changed in place, and kept in a backup for the down migration.
	Into string
}

// body is the whole pattern. It names a column old_value, and lower() for what
// becomes of it; everything else runs as it is.
func (b Backfill) body(version Version) (string, error) {
	table, named, err := names(b.Table, ".", "a table")
	if err != nil {
		return "", err
	}
	if len(table) > 2 {
		return "", noName(b.Table, "a table")
	}
	key, _, err := names(b.Key, ",", "the columns of a key")
	if err != nil {
		return "", err
	}
	place := map[string]string{
		"TABLE": strings.Join(table, "."), "KEY": strings.Join(key, ", "), "BY": strings.Join(key, ","),
		"OTHER": strings.Join(append(table[:len(table)-1:len(table)-1], backupName(named[len(named)-1], version)), "."),
	}
	text := inPlaceBody
	if b.Into != "" {
		into, _, err := names(b.Into, ".", "a table")
		if err != nil {
			return "", err
		}
		if len(into) > 2 {
			return "", noName(b.Into, "a table")
		}
		place["OTHER"], text = strings.Join(into, "."), moveBody
	}
	return placeholder().ReplaceAllStringFunc(text, func(found string) string {
		word := strings.Trim(found, "{}")
		if known, ok := place[word]; ok {
			return known
		}
		alias, _ := strings.CutPrefix(word, "KEY OF ") // the key of an alias
		return row(key, alias+".")
	}), nil
}

var placeholder = plaintext.Pattern(`\{[A-Za-z ]+\}`)

// row is a key's columns as one value.
func row(key []string, prefix string) string {
	text := prefix + strings.Join(key, ", "+prefix)
	if len(key) > 1 {
		return "(" + text + ")"
	}
	return text
}

// names cuts a list of identifiers. It gives them as they are written, and as
// the catalog has them.
func names(text, separator, of string) (written, named []string, err error) {
	l := line{text: text}
	for {
		l.skipBlanks()
		from := l.next
		name, ok := l.identifier()
		if !ok || strings.ContainsAny(l.text[from:l.next], "\r\n") {
			return nil, nil, noName(text, of)
		}
		written, named = append(written, l.text[from:l.next]), append(named, name)
		l.skipBlanks()
		if l.atEnd() {
			return written, named, nil
		}
		if !l.at(separator) {
			return nil, nil, noName(text, of)
		}
		l.next += len(separator)
	}
}

func noName(text, of string) *Error {
	return &Error{Code: CodeBadName, Message: fmt.Sprintf("%q does not name %s", oneLine(text), of),
		Remedy: `write it as in SQL: users, app.users or "Users"`}
}

// longestIdentifier is how many bytes of a name PostgreSQL keeps.
const longestIdentifier = 63

var plainIdentifier = plaintext.Pattern(`^[a-z_][a-z0-9_]*$`)

// backupName is the name of a table in which a backfill keeps what it changes.
func backupName(table string, version Version) string {
	suffix := "_backup_" + string(version)
	for len(table)+len(suffix) > longestIdentifier {
		_, size := utf8.DecodeLastRuneInString(table)
		table = table[:len(table)-size]
	}
	name := table + suffix
	if plainIdentifier().MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

const inPlaceBody = `--
-- Edit old_value (the column), lower() (what becomes of it), and the conditions
-- that go with it. Then look at it with: whimbrel plan -v

-- +migrate Up

-- What was there before, for the down migration.
CREATE TABLE {OTHER} AS SELECT {KEY}, old_value FROM {TABLE} WITH NO DATA;
ALTER TABLE {OTHER} ADD PRIMARY KEY ({KEY});

-- Once per range of keys, each in a transaction of its own; after a crash it goes
-- on there. FOR NO KEY UPDATE: nobody changes a row between the backup and the
-- change, and rows that are being deleted are left out.
-- +migrate Batch {TABLE} by {BY} size=1000
WITH batch AS (
    SELECT {KEY}, old_value FROM {TABLE} AS t
    WHERE {KEY OF t} > (:from) AND {KEY OF t} <= (:to) AND old_value <> lower(old_value)
    FOR NO KEY UPDATE
), kept AS (
    INSERT INTO {OTHER} ({KEY}, old_value)
    SELECT {KEY}, old_value FROM batch
    ON CONFLICT DO NOTHING
)
UPDATE {TABLE} AS t SET old_value = lower(batch.old_value)
FROM batch
WHERE {KEY OF t} = {KEY OF batch};

-- While it does not hold, rows were written meanwhile, and there is another pass.
-- +migrate Assert no row of the old form is left
SELECT NOT EXISTS (SELECT FROM {TABLE} WHERE old_value <> lower(old_value));

-- +migrate Down

-- Rows that were changed since are left as they are.
-- +migrate Batch {OTHER} by {BY} size=1000
UPDATE {TABLE} AS t SET old_value = kept.old_value
FROM {OTHER} AS kept
WHERE {KEY OF kept} > (:from) AND {KEY OF kept} <= (:to)
    AND {KEY OF t} = {KEY OF kept} AND t.old_value = lower(kept.old_value);

-- +migrate Assert everything is restored
SELECT NOT EXISTS (
    SELECT FROM {OTHER} AS kept JOIN {TABLE} AS t ON {KEY OF t} = {KEY OF kept}
    WHERE t.old_value = lower(kept.old_value)
);

DROP TABLE {OTHER};
`

const moveBody = `--
-- Edit old_value: the column that moves. Rows that are written from now on must
-- be written to both places, by the application or a trigger.
-- Then look at it with: whimbrel plan -v

-- +migrate Up

-- The primary key keeps a row from being moved twice.
CREATE TABLE {OTHER} AS SELECT {KEY}, old_value FROM {TABLE} WITH NO DATA;
ALTER TABLE {OTHER}
    ADD PRIMARY KEY ({KEY}),
    ADD FOREIGN KEY ({KEY}) REFERENCES {TABLE} ({KEY}) ON DELETE CASCADE;

-- Once per range of keys, each in a transaction of its own; after a crash it goes
-- on there. FOR KEY SHARE leaves out rows that are being deleted; without it, one
-- of them would break the foreign key.
-- +migrate Batch {TABLE} by {BY} size=1000
INSERT INTO {OTHER} ({KEY}, old_value)
SELECT {KEY}, old_value FROM (
    SELECT {KEY}, old_value FROM {TABLE} AS t
    WHERE {KEY OF t} > (:from) AND {KEY OF t} <= (:to)
    FOR KEY SHARE
) AS batch
ON CONFLICT DO NOTHING;

-- While it does not hold, rows were written meanwhile, and there is another pass.
-- +migrate Assert every row has been moved
SELECT NOT EXISTS (
    SELECT FROM {TABLE} AS t
    WHERE NOT EXISTS (SELECT FROM {OTHER} AS moved WHERE {KEY OF moved} = {KEY OF t})
);

-- +migrate Down

-- What has changed in the new place goes home.
-- +migrate Batch {OTHER} by {BY} size=1000
UPDATE {TABLE} AS t SET old_value = moved.old_value
FROM {OTHER} AS moved
WHERE {KEY OF moved} > (:from) AND {KEY OF moved} <= (:to)
    AND {KEY OF t} = {KEY OF moved} AND t.old_value IS DISTINCT FROM moved.old_value;

DROP TABLE {OTHER};
`
