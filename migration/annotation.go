package migration

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Batch is the annotation "Batch <table> by <key>[,<key>…] [size=1000]
// [pause=0s] [workers=1]": the next statement runs once per range of keys.
type Batch struct {
	// Table is the table's name as it is written, possibly with a schema and
	// in quotes. It is checked to be nothing but a name.
	Table string
	// Key is one or more columns, by the names that they have in the catalog:
	// without quotes, and in lower case where they were written without.
	Key      []string
	Size     int    // rows per batch
	Pause    string // a Go duration, validated
	Workers  int
	Position Position
}

// TableName returns the parts of the table's name, as they are in the catalog:
// what pgx.Identifier wants.
func (b Batch) TableName() []string {
	l := line{text: b.Table}
	parts, _ := l.qualifiedName()
	return parts
}

// Assert is the annotation "Assert [message]": every value of the first row of
// the query that follows must be true.
type Assert struct {
	Message  string
	Position Position
}

// Setting is the annotation "Set name = value". Value is without quotes, ready
// for set_config().
type Setting struct {
	Name, Value string
	Position    Position
}

// Allow is the annotation "Allow <hazard> <reason>". Hazard is in lower case.
type Allow struct {
	Hazard, Reason string
	Position       Position
}

// annotations are the words that may follow "-- +migrate".
var annotations = []string{
	"Up", "Down", "StatementBegin", "StatementEnd", "Set", "Batch", "Assert", "Irreversible", "Allow", "Tags",
	"Variables", "After", "Squashes",
	"Prose",
}

// The limits of Batch. They only keep out figures that are slips.
const (
	defaultBatchSize = 1000
	maxWorkers       = 64
)

var (
	// claimed finds annotations, and what is meant to be one: a mark that is
	// passed over because of a slip would make the down migration run as the up migration.
	claimed = plaintext.Pattern(`(?i)^--[ \t]*(?:\+migrat|\+[ \t]+migrate[ \t]+(?:up|down)\b)`)
	// introduction is how an annotation begins.
	introduction = plaintext.Pattern(`(?i)^--[ \t]*\+migrate(?:[ \t]+|$)`)
	hazardName   = plaintext.Pattern(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	settingName  = plaintext.Pattern(
		`^[A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_$\x{80}-\x{10FFFF}]*(?:\.[A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_$\x{80}-\x{10FFFF}]*)*$`)
)

// foreign are the marks of other tools' files. A file that has them would, if
// they were read as comments, run its down migration right after its up migration.
var foreign = []struct {
	tool string
	mark func() *regexp.Regexp
}{
	{"goose", plaintext.Pattern(`(?i)^--[ \t]*\+goose\b`)},
	{"dbmate", plaintext.Pattern(`(?i)^--[ \t]*migrate:(up|down)\b`)},
	{"tern", plaintext.Pattern(`(?i)^---- create above / drop below ----`)},
	{"node-pg-migrate", plaintext.Pattern(`(?i)^--[- \t]*(up|down)[ \t]+migration[ \t]*$`)},
	{"rambler", plaintext.Pattern(`(?i)^--[ \t]*rambler[ \t]+(up|down)\b`)},
	{"MyBatis Migrations", plaintext.Pattern(`(?i)^--[ \t]*//[ \t]*@undo\b`)},
}

// usualIntroduction is how nearly all annotations begin. No other tool's mark does,
// so that the expressions, which take longer than the rest of reading a line, are
// for what is written otherwise.
const usualIntroduction = "-- +migrate "

// foreignTool names the tool that a comment is a mark of, or "".
func foreignTool(comment string) string {
	if strings.HasPrefix(comment, usualIntroduction) {
		return ""
	}
	for _, f := range foreign {
		if f.mark().MatchString(comment) {
			return f.tool
		}
	}
	return ""
}

// isAnnotation is the pgsql.Options.Mark of migration files.
func isAnnotation(comment string) bool {
	return isOwnAnnotation(comment) || foreignTool(comment) != ""
}

// isOwnAnnotation is the same where the marks of other tools are comments.
func isOwnAnnotation(comment string) bool {
	return strings.HasPrefix(comment, usualIntroduction) || claimed().MatchString(comment)
}

// annotation reads the word that says which annotation the line is, in its
// proper spelling.
func (l *line) annotation() (string, *Error) {
	begin := usualIntroduction
	if !l.at(begin) {
		begin = introduction().FindString(l.text)
	}
	if begin == "" {
		return "", l.unknown(strings.TrimSpace(strings.TrimPrefix(l.text, "--")))
	}
	l.next = len(begin)
	l.skipBlanks()
	word := l.word()
	if word == "" {
		return "", l.wrong(CodeUnknownAnnotation, "an annotation is missing after +migrate",
			"write one of "+strings.Join(annotations, ", "))
	}
	for _, known := range annotations {
		if strings.EqualFold(known, word) {
			return known, nil
		}
	}
	l.next -= len(word)
	return "", l.unknown(word)
}

func (l *line) unknown(word string) *Error {
	meant := regexp.MustCompile(`(?i)^\+[ \t]*migrat(?:e|ions?|ed)?[ \t:]*`).ReplaceAllString(word, "")
	meant, _, _ = strings.Cut(meant, " ")
	remedy := "write one of " + strings.Join(annotations, ", ")
	if known := plaintext.Nearest(meant, annotations); known != "" {
		remedy = fmt.Sprintf(`did you mean "-- +migrate %s"?`, known)
	}
	return l.wrong(CodeUnknownAnnotation, fmt.Sprintf("unknown annotation %q", word), remedy)
}

// batch reads what follows the word Batch.
func (l *line) batch() (*Batch, *Error) {
	const form = `write it as "-- +migrate Batch <table> by <key>[,<key>…] [size=1000] [pause=0s] [workers=1]"`
	b := &Batch{Size: defaultBatchSize, Pause: "0s", Workers: 1, Position: l.start}
	from := l.next
	if _, ok := l.qualifiedName(); !ok {
		return nil, l.wrong(CodeBadAnnotation, "Batch needs the name of a table", form)
	}
	b.Table = l.text[from:l.next]
	l.skipBlanks()
	if by := l.word(); !strings.EqualFold(by, "by") {
		l.next -= len(by)
		return nil, l.wrong(CodeBadAnnotation, `Batch needs the word "by" after the table`, form)
	}
	for {
		l.skipBlanks()
		before := l.next
		column, ok := l.identifier()
		if !ok || (!l.atBlank() && !l.at(",")) {
			l.next = before
			return nil, l.wrong(CodeBadAnnotation, "Batch needs the name of a column of the key", form)
		}
		if slices.Contains(b.Key, column) {
			l.next = before
			return nil, l.wrong(CodeBadAnnotation, fmt.Sprintf("column %q is named twice in the key of Batch", column),
				"name it once")
		}
		b.Key = append(b.Key, column)
		l.skipBlanks()
		if !l.at(",") {
			break
		}
		l.next++
	}
	return b, l.batchOptions(b)
}

func (l *line) batchOptions(b *Batch) *Error {
	var seen []string
	for l.skipBlanks(); !l.atEnd(); l.skipBlanks() {
		before := l.next
		word := l.word()
		name, value, _ := strings.Cut(word, "=")
		name = strings.ToLower(name)
		message, remedy := "", ""
		switch {
		case slices.Contains(seen, name):
			message, remedy = fmt.Sprintf("option %s is given twice", name), "give it once"
		case name == "size":
			if size, err := strconv.Atoi(value); err == nil && size >= 1 && size <= math.MaxInt32 {
				b.Size = size
			} else {
				message, remedy = fmt.Sprintf("invalid number of rows %q", value), "write for example size=1000"
			}
		case name == "pause":
			if pause, err := time.ParseDuration(value); err == nil && pause >= 0 {
				b.Pause = value
			} else {
				message, remedy = fmt.Sprintf("invalid duration %q", value), "write for example pause=100ms"
			}
		case name == "workers":
			if workers, err := strconv.Atoi(value); err == nil && workers >= 1 && workers <= maxWorkers {
				b.Workers = workers
			} else {
				message, remedy = fmt.Sprintf("invalid number of workers %q: the least is 1, the most %d", value,
					maxWorkers), "write for example workers=2"
			}
		default:
			message, remedy = fmt.Sprintf("Batch has no option %q", word), "write size=…, pause=… or workers=…"
			if known := plaintext.Nearest(name, []string{"size", "pause", "workers"}); known != "" {
				remedy = fmt.Sprintf("did you mean %s=…?", known)
			}
		}
		if message != "" {
			l.next = before
			return l.wrong(CodeBadAnnotation, message, remedy)
		}
		seen = append(seen, name)
	}
	return nil
}

// setting reads what follows the word Set.
func (l *line) setting() (Setting, *Error) {
	const form = `write it as "-- +migrate Set lock_timeout = 2s"`
	s := Setting{Position: l.start}
	s.Name = l.until(" \t=")
	if !settingName().MatchString(s.Name) {
		l.next -= len(s.Name)
		return s, l.wrong(CodeBadAnnotation, fmt.Sprintf("%q is not the name of a setting", s.Name), form)
	}
	l.skipBlanks()
	if l.at("=") {
		l.next++
	} else if to := l.word(); !strings.EqualFold(to, "to") {
		l.next -= len(to)
		return s, l.wrong(CodeBadAnnotation, fmt.Sprintf(`Set needs "=" after %s`, s.Name), form)
	}
	l.skipBlanks()
	value := strings.TrimRight(l.text[l.next:], " \t")
	if strings.HasPrefix(value, "'") {
		unquoted, ok := unquote(value)
		if !ok {
			return s, l.wrong(CodeBadAnnotation, "the value's quotes do not enclose it",
				"put the whole value between one pair of single quotes, and double those within")
		}
		s.Value = unquoted
		return s, nil
	}
	if value == "" {
		return s, l.wrong(CodeBadAnnotation, fmt.Sprintf("Set needs a value for %s", s.Name), form)
	}
	for _, odd := range []string{";", "'", "--"} {
		if at := strings.Index(value, odd); at >= 0 {
			l.next += at
			return s, l.wrong(CodeBadAnnotation, fmt.Sprintf("%s in a value without quotes", odd),
				"leave it out, or put the whole value between single quotes")
		}
	}
	s.Value = value
	return s, nil
}

// unquote takes a text out of its single quotes.
func unquote(quoted string) (string, bool) {
	if len(quoted) < 2 || !strings.HasSuffix(quoted, "'") {
		return "", false
	}
	inner := quoted[1 : len(quoted)-1]
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return "", false
	}
	return strings.ReplaceAll(inner, "''", "'"), true
}

func (s Setting) annotation() string {
	return fmt.Sprintf("-- +migrate Set %s = '%s'\n", s.Name, strings.ReplaceAll(s.Value, "'", "''"))
}

// allow reads what follows the word Allow.
func (l *line) allow() (Allow, *Error) {
	const form = `write it as "-- +migrate Allow <hazard> <reason>"`
	hazard := l.word()
	if !hazardName().MatchString(hazard) {
		l.next -= len(hazard)
		return Allow{}, l.wrong(CodeBadAnnotation, "Allow needs the name of a hazard", form)
	}
	reason := l.rest()
	if reason == "" {
		return Allow{}, l.wrong(CodeBadAnnotation, fmt.Sprintf("Allow %s needs a reason", hazard),
			"say after the hazard's name why it does no harm here")
	}
	return Allow{Hazard: strings.ToLower(hazard), Reason: reason, Position: l.start}, nil
}

// words reads what follows an annotation that takes a list of words, with blanks
// or commas between them. check says what is wrong with a word, or "".
func (l *line) words(form string, check func(word string) string) *Error {
	remedy := fmt.Sprintf(`write it as "-- +migrate %s"`, form)
	found := false
	for {
		for l.skipBlanks(); l.at(","); l.skipBlanks() {
			l.next++
		}
		before := l.next
		word := l.until(" \t,")
		if word == "" {
			break
		}
		found = true
		if message := check(word); message != "" {
			l.next = before
			return l.wrong(CodeBadAnnotation, message, remedy)
		}
	}
	if !found {
		name, _, _ := strings.Cut(form, " ")
		return l.wrong(CodeBadAnnotation, name+" needs at least one word after it", remedy)
	}
	return nil
}

// noTransaction reads what may follow the words Up and Down.
func (l *line) noTransaction() (bool, *Error) {
	option := l.rest()
	if option == "" || strings.EqualFold(option, "notransaction") {
		return option != "", nil
	}
	l.next = strings.LastIndex(l.text, option)
	return false, l.wrong(CodeBadAnnotation, fmt.Sprintf("%q is unknown here", option),
		`after Up and Down nothing may stand but "notransaction"`)
}
