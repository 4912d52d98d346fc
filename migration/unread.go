package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// A comment that plainly says "the down migration begins here", and is not one of the marks that
// are read, would have the down migration run right after the up migration. So it is kept as
// Migration.UnreadMark: a line of its own, outside a statement, in an up migration in which
// statements follow it, that says nothing else. "-- +migrate Prose" above it says that it
// is a remark.

// The words of such a comment: one of the directions, and beside it nothing but words that
// say no more.
var (
	backWords = words("down downs downwards downgrade undo undoing rollback rollbacks revert reverting reverse reversal " +
		"backward backwards teardown")
	fillWords = words("migrate migration migrations migrated goose dbmate tern flyway liquibase rambler micrate sqitch " +
		"atlas pgroll sql script scripts section sections part phase step steps file begin begins start starts of the here " +
		"below now way back roll tear block statement statements changes command commands instruction instructions plan queries " +
		"region db database notransaction no transaction to from run this how for up v")
	// toolWords are those beside which "dwon" can only be a slip.
	toolWords = words("migrate migration migrations goose dbmate tern rambler micrate sql")
	numbered  = plaintext.Pattern(`^v?\d+$`)
	// halfName is the name of a file that is a down migration alone, as it is above each
	// part where such files were put together.
	halfName = plaintext.Pattern(`(?i)^\S*[._-](?:down|undo|rollback|revert)(?:\.sql)?$`)
	// ternMark is what tern's mark says; it has no other word of a direction.
	ternMark = plaintext.Pattern(`^(?:create above[ /]*)?drop below$`)
	// label is what a direction may be the value of.
	label  = plaintext.Pattern(`^(?:direction|type|mode|action)\s*[:=]\s*`)
	wordOf = plaintext.Pattern(`[\p{L}\p{N}]+`)
)

func words(list string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(list) {
		all[w] = true
	}
	return all
}

// mostWords is how many words a mark has at most.
const mostWords = 7

// marksDown reports whether the text of a comment, without what makes it one, can only
// be meant to say that the down migration begins.
func marksDown(text string) bool {
	text = strings.ToLower(strings.Map(narrow, text))
	text = strings.TrimSpace(strings.Trim(strings.TrimSpace(text), "-=*#/<>~_+!@:.[](){}|"))
	if halfName().MatchString(text) || ternMark().MatchString(text) {
		return true
	}
	said := wordOf().FindAllString(label().ReplaceAllString(text, ""), -1)
	if strings.Join(said, " ") == "d o w n" {
		return true
	}
	if len(said) > mostWords {
		return false
	}
	ofTool := slices.ContainsFunc(said, func(w string) bool { return toolWords[w] })
	back := adjacent(said, "way", "back") || adjacent(said, "roll", "back") || adjacent(said, "tear", "down")
	for _, w := range said {
		switch {
		case backWords[w], plaintext.Slip(w, "rollback"), plaintext.Slip(w, "downgrade"), ofTool && plaintext.Slip(w, "down"):
			back = true
		case !fillWords[w] && !numbered().MatchString(w) && !plaintext.Slip(w, "migration"):
			return false
		}
	}
	return back && !slices.Contains(said, "up")
}

// adjacent reports whether one word follows the other.
func adjacent(said []string, one, other string) bool {
	at := slices.Index(said, one)
	return at >= 0 && at+1 < len(said) && said[at+1] == other
}

// narrow is the letter that a full-width one shows.
func narrow(r rune) rune {
	if r >= '\uFF01' && r <= '\uFF5E' {
		return r - 0xFEE0
	}
	return r
}

// unreadMark looks for such a comment in what stands between two statements of a way up:
// the text up to a statement, from where the last one ended or the section began.
func (r *reader) unreadMark(until int) {
	from := r.open().lastEnd
	between := r.migration.Text[from:until]
	if r.stored || r.migration.UnreadMark != nil || r.open().down ||
		!strings.Contains(between, "--") && !strings.Contains(between, "/*") {
		return
	}
	comments := r.remarksOf(from, until)
	for i, c := range comments {
		switch {
		case c.prose || !c.alone || !marksDown(c.text) && foreignTool(c.shown) != "tern":
			continue
		case isHeading(c, comments[i+1:]):
			continue
		case r.last == 0 && !strings.Contains(strings.ToLower(c.text), "down"):
			continue // above all statements, "revert migration 42" is what this one is for
		}
		r.migration.UnreadMark = &Error{
			Code: CodeUnreadMark, Path: r.migration.Path, Position: pgsql.PositionAt(r.migration.Text, c.offset),
			Message: fmt.Sprintf("%q looks like a mark, but is none that is read: "+
				"what is below it would run as a part of the up migration", c.shown),
			Remedy: `write "-- +migrate Down" in its place, or "-- +migrate Prose" in the line above it if it is a remark`,
		}
		return
	}
}

// isHeading reports whether what follows a comment, without an empty line between them, is
// what it says: a down migration that is a comment itself, or, below a colon, prose that
// is indented further.
func isHeading(c remark, below []remark) bool {
	for i, next := range below {
		switch {
		case !next.follows:
			return false
		case startsStatement().MatchString(next.text):
			return true
		case i == 0 && strings.HasSuffix(strings.TrimSpace(c.text), ":") && indent(next.text) > indent(c.text)+1:
			return true
		}
	}
	return false
}

func indent(text string) int { return len(text) - len(strings.TrimLeft(text, " \t")) }

// startsStatement is how a statement begins that somebody has made a comment of. "Drop the
// table" is prose.
var startsStatement = plaintext.Pattern(`(?i)^[\s*]*(?:` +
	`(?:drop|alter|create|comment on)\s+(?:or replace|unique|foreign|materialized|temp|temporary|event|default|` +
	`text search|table|view|index|column|constraint|type|domain|schema|sequence|function|procedure|aggregate|operator|trigger|` +
	`policy|rule|role|user|extension|database|cast|collation|publication|subscription|server|statistics|access)\b` +
	`|delete\s+from\b|insert\s+into\b|truncate\s+\S+|update\s.*\bset\b|(?:grant|revoke)\s.*\bon\b|set\s+\S+\s*(?:=|to\b)` +
	`|select\b.*[;(]|(?:begin|commit)\s*;)`)

// remark is a comment between statements, or a line of one.
type remark struct {
	offset  int
	text    string // without what makes it a comment
	shown   string
	alone   bool // it has its lines for itself
	follows bool // no empty line is above it
	prose   bool // it was said that it is no mark
}

// remarksOf gives the comments of a part of a text that holds no statement, without
// annotations. Prose holds until an empty line.
func (r *reader) remarksOf(from, until int) (all []remark) {
	text := r.migration.Text
	prose, follows := false, false
	for token := range pgsql.Tokens(text[from:until]) {
		switch token.Kind {
		case pgsql.Whitespace:
			if strings.Count(token.Text, "\n") > 1 {
				prose, follows = false, false
			}
		case pgsql.LineComment, pgsql.BlockComment:
			if token.Kind == pgsql.LineComment && r.marks(token.Text) {
				prose = IsProse(token.Text)
				continue
			}
			begin := from + token.Offset
			c := remark{
				offset: begin, text: strings.TrimPrefix(token.Text, "--"), shown: firstLine(token.Text),
				follows: follows, prose: prose, alone: alone(text, begin, begin+len(token.Text)),
			}
			if token.Kind == pgsql.BlockComment {
				all = append(all, c.lines(token.Text)...)
			} else {
				all = append(all, c)
			}
			follows = true
		}
	}
	return all
}

// lines gives the lines of a block comment that say something: the first is a remark of its
// own, which those below it follow and which may be a mark. Those below are what it heads.
func (r remark) lines(comment string) (all []remark) {
	for line := range strings.Lines(strings.TrimSuffix(strings.TrimPrefix(comment, "/*"), "*/")) {
		if r.text = line; wordOf().MatchString(line) {
			all = append(all, r)
			r.follows, r.alone = true, false
		}
	}
	return all
}

// IsProse reports whether a line is the annotation that says that a remark follows.
func IsProse(line string) bool { return proseMark().MatchString(line) }

var proseMark = plaintext.Pattern(`(?i)^--[ \t]*\+migrate[ \t]+Prose\b`)

// alone reports whether a part of a text has its lines for itself.
func alone(text string, from, to int) bool {
	before, after := text[:from], text[to:]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	after, _, _ = strings.Cut(after, "\n")
	return strings.TrimSpace(strings.TrimPrefix(before, byteOrderMark)) == "" && strings.TrimSpace(after) == ""
}
