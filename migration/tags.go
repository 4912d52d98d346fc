package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// tagName is what a tag may look like: something that needs no quotes in a
// shell, in YAML and in a list.
var tagName = plaintext.Pattern(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)

// IsTag reports whether a text can be a tag: letters, digits, and the marks
// _ . : - behind the first of them.
func IsTag(text string) bool { return tagName().MatchString(text) }

// HasTag reports whether m has one of the tags.
func (m Migration) HasTag(tags ...string) bool {
	return slices.ContainsFunc(m.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
}

// AllTags are the tags that migrations have, sorted, each once.
func AllTags(migrations []Migration) []string {
	var all []string
	for _, m := range migrations {
		all = append(all, m.Tags...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const tagRule = "a tag is made of letters, digits and the marks _ . : -"

// tag checks one word of the annotation Tags.
func (r *reader) tag(word string) string {
	switch {
	case !IsTag(word):
		return fmt.Sprintf("invalid tag %q: %s", word, tagRule)
	case r.migration.HasTag(word):
		return fmt.Sprintf("tag %s is given twice", word)
	}
	r.migration.Tags = append(r.migration.Tags, word)
	return ""
}

var (
	// exportedTags finds where a script exports its tags, at the start of a line.
	exportedTags = plaintext.Pattern(`(?m)^(?:export\s+(?:const|let|var)\s+tags\b[^=\n]*=|(?:module\.)?exports\.tags\s*=)`)
	// plainList is a list of plain strings in JavaScript.
	plainList = plaintext.Pattern(`^\s*\[\s*((?:(?:'[^'\\\n]*'|"[^"\\\n]*")\s*(?:,\s*)?)*)\]`)
	plainText = plaintext.Pattern(`'[^']*'|"[^"]*"`)
)

// scriptTags reads the tags that a script exports, without running it: which
// migrations there are, and what they are, must be known without their code.
func scriptTags(text string) ([]string, *Error) {
	at := exportedTags().FindStringIndex(text)
	if at == nil {
		return nil, nil
	}
	wrong := func(offset int, message string) *Error {
		return &Error{Code: CodeBadAnnotation, Position: pgsql.PositionAt(text, offset), Message: message,
			Remedy: `write them plainly: export const tags = ["slow", "seed"] (in CommonJS: exports.tags = …)`}
	}
	list := plainList().FindStringSubmatchIndex(text[at[1]:])
	if list == nil {
		return nil, wrong(at[0], "tags must be a list of plain strings, which can be read without running the script")
	}
	var tags []string
	from := at[1] + list[2]
	for _, place := range plainText().FindAllStringIndex(text[from:at[1]+list[3]], -1) {
		tag := strings.Trim(text[from+place[0]:from+place[1]], `'"`)
		if !IsTag(tag) {
			return nil, wrong(from+place[0], fmt.Sprintf("invalid tag %q: %s", tag, tagRule))
		}
		tags = append(tags, tag)
	}
	return tags, nil
}
