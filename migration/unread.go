package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pattern"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// A comment that plainly says "the way back begins here", and is not one of the marks that
// are read, would have the way back run right after the way up. So it is kept as
// Migration.UnreadMark: a line of its own, outside a statement, in a way up in which
// statements follow it, that says nothing else. "-- +migrate Prose" above it says that it
// is a remark.

// The words of such a comment: one of the directions, and beside it nothing but words that
// say no more.
var (
	backWords = words("down downs downgrade undo rollback rollbacks revert reverse backward backwards teardown")
	fillWords = words("migrate migration migrations migrated goose dbmate tern flyway liquibase rambler sqitch sql script " +
		"scripts section sections part phase step steps file begin begins start starts of the here below now way back " +
		"roll block statement statements changes notransaction no transaction to from run for up v")
	numbered = pattern.Of(`^v?\d+$`)
	// halfName is the name of a file that holds a way back alone, as it stands above each
	// part where such files were put together.
	halfName = pattern.Of(`(?i)^\S*[._-](?:down|undo|rollback|revert)(?:\.sql)?$`)
	wordOf   = pattern.Of(`[\p{L}\p{N}]+`)
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

// marksWayBack reports whether the text of a comment, without what makes it one, can only
// be meant to say that the way back begins.
func marksWayBack(text string) bool {
	text = strings.TrimSpace(strings.Trim(strings.TrimSpace(text), "-=*#/<>~_+!@:.[](){}|"))
	if halfName().MatchString(text) {
		return true
	}
	said := wordOf().FindAllString(strings.ToLower(text), -1)
	if len(said) > mostWords {
		return false
	}
	back := strings.Contains(strings.ToLower(text), "way back") || strings.Contains(strings.ToLower(text), "roll back")
	for _, w := range said {
		switch {
		case backWords[w]:
			back = true
		case !fillWords[w] && !numbered().MatchString(w):
			return false
		}
	}
	return back && !slices.Contains(said, "up")
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
	comments := commentsOf(between)
	for i, c := range comments {
		switch {
		case c.prose || !alone(r.migration.Text, from+c.Offset, from+c.Offset+len(c.Text)) || !marksWayBack(c.said()):
			continue
		case i+1 < len(comments) && comments[i+1].follows && startsStatement().MatchString(comments[i+1].said()):
			continue // it is the heading of a way back that is a comment itself
		}
		r.migration.UnreadMark = &Error{
			Code: CodeUnreadMark, Path: r.migration.Path, Position: pgsql.PositionAt(r.migration.Text, from+c.Offset),
			Message: fmt.Sprintf("%q looks like a mark, but is none that is read: what is below it would run as a part of the way up",
				firstLine(c.Text)),
			Remedy: `write "-- +migrate Down" in its place, or "-- +migrate Prose" in the line above it if it is a remark`,
		}
		return
	}
}

// startsStatement is how a statement begins that somebody has made a comment of.
var startsStatement = pattern.Of(`(?i)^\s*(?:drop|alter|delete|update|insert|create|truncate|revoke|grant|select|begin|set|comment)\s`)

// remark is a comment between statements.
type remark struct {
	pgsql.Token
	follows bool // no empty line is above it
	prose   bool // it was said that it is no mark
}

// said is its text without what makes it a comment.
func (r remark) said() string {
	if r.Kind == pgsql.BlockComment {
		return strings.TrimSuffix(strings.TrimPrefix(r.Text, "/*"), "*/")
	}
	return strings.TrimPrefix(r.Text, "--")
}

// commentsOf gives the comments of a text that holds no statement, without annotations.
// Prose holds until an empty line.
func commentsOf(text string) (all []remark) {
	prose, follows := false, false
	for token := range pgsql.Tokens(text) {
		switch token.Kind {
		case pgsql.Whitespace:
			if strings.Count(token.Text, "\n") > 1 {
				prose, follows = false, false
			}
		case pgsql.LineComment, pgsql.BlockComment:
			if token.Kind == pgsql.LineComment && isAnnotation(token.Text) {
				prose = IsProse(token.Text)
				continue
			}
			all = append(all, remark{token, follows, prose})
			follows = true
		}
	}
	return all
}

// IsProse reports whether a line is the annotation that says that a remark follows.
func IsProse(line string) bool { return proseMark().MatchString(line) }

var proseMark = pattern.Of(`(?i)^--[ \t]*\+migrate[ \t]+Prose\b`)

// alone reports whether a part of a text has its lines for itself.
func alone(text string, from, to int) bool {
	before, after := text[:from], text[to:]
	before = before[strings.LastIndexByte(before, '\n')+1:]
	after, _, _ = strings.Cut(after, "\n")
	return strings.TrimSpace(strings.TrimPrefix(before, byteOrderMark)) == "" && strings.TrimSpace(after) == ""
}
