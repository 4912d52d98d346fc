package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// goose: a file per migration, NUMBER_name.sql, with lines "-- +goose …" that
// say which part is the up migration and which the down migration; or NUMBER_name.go.

var (
	gooseFile = plaintext.Pattern(`^(\d+)_(.+)\.(sql|go)$`)
	gooseSQL  = plaintext.Pattern(`^\d+_.+\.sql$`)
	gooseMark = plaintext.Pattern(`(?i)^--\s*\+goose\s+(.*)$`)
	gooseUp   = plaintext.Pattern(`(?mi)^--\s*\+goose\s+up\s*$`)
)

// gooseMarks turns whimbrel's marks into goose's, but for the one that goose has not.
var gooseMarks = strings.NewReplacer("-- +migrate Prose", "-- +migrate Prose", "-- +migrate ", "-- +goose ",
	"notransaction", "NO TRANSACTION")

func detectGoose(f folder) bool { return f.all(gooseSQL(), gooseUp()) }

func readGoose(f folder, p *Project) error {
	for _, m := range f.matching(gooseFile()) {
		if strings.HasSuffix(m.file, "_test.go") {
			continue
		}
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: m.parts[1],
			text: text, marks: gooseMarks}
		d.tool = "goose"
		if m.parts[3] == "go" {
			d.unfit = unfit("run it with goose and adopt its history again, or write it in SQL",
				"it is a migration in Go, which only goose can run")
		} else if err := d.fromGoose(p); err != nil {
			return err
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}

// fromGoose translates the marks. NO TRANSACTION counts for both directions.
func (d *draft) fromGoose(p *Project) error {
	without := ""
	for line := range strings.Lines(d.text) {
		if mark := gooseWord(line); mark == "no transaction" {
			without = apart
		}
	}
	begun, substituting := false, false
	var names []string
	var outside strings.Builder
	var problem error
	d.text = lines(d.text, func(line string) string {
		mark := gooseWord(line)
		switch {
		case mark == "up":
			begun = true
			return markUp + without
		case mark == "down":
			begun, d.hasDown = true, true
			return markDown + without
		case mark == "statementbegin":
			return "-- +migrate StatementBegin"
		case mark == "statementend":
			return "-- +migrate StatementEnd"
		case mark == "envsub on", mark == "envsub off":
			substituting = mark == "envsub on"
			return "--"
		case mark == "no transaction":
			return "--"
		case mark != "":
			return line // goose refuses it, and so does what reads the file
		case !begun:
			return silenced(line)
		case !substituting:
			outside.WriteString(line + "\n")
			if migration.IsProse(line) {
				return line
			}
			return strings.ReplaceAll(line, "-- +migrate", "-- migrate")
		}
		line, found, err := gooseVariables(line, p)
		if err != nil {
			problem = err
		}
		names = append(names, found...)
		return line
	})
	switch {
	case !begun:
		d.unfit = unfit(`write "-- +goose Up" above its SQL`,
			"it has no line that says where the up migration begins, and goose refuses it")
	case problem != nil:
		d.unfit = unfit("write the migration without it", "%v", problem)
	case slices.ContainsFunc(names, func(name string) bool { return strings.Contains(outside.String(), "${"+name+"}") }):
		d.unfit = unfit("replace them all, or none", "a variable is replaced in some lines and left as it is in others")
	default:
		d.variables(names)
	}
	return nil
}

// gooseWord is the mark that a line is, in lower case; "" if it is none.
func gooseWord(line string) string {
	found := gooseMark().FindStringSubmatch(strings.TrimRight(line, " \t\r\n"))
	if found == nil {
		return ""
	}
	return strings.ToLower(strings.Join(strings.Fields(found[1]), " "))
}

// gooseReference is what goose puts a variable of the environment in place of.
var gooseReference = plaintext.Pattern(
	`\$\$|\\\$|\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?])([^}]*))?\}|\$\{[^}]*\}`)

// gooseVariables writes the references in a line as whimbrel has them.
func gooseVariables(line string, p *Project) (out string, names []string, err error) {
	out = gooseReference().ReplaceAllStringFunc(line, func(reference string) string {
		parts := gooseReference().FindStringSubmatch(reference)
		name := parts[1] + parts[2]
		switch {
		case name == "" && (reference == "$$" || reference == `\$`):
			return "$" // so it is written where it is meant
		case name == "":
			err = fmt.Errorf("whimbrel has nothing like %s", reference)
			return reference
		}
		names = append(names, name)
		if strings.HasSuffix(parts[3], "-") {
			if other, known := p.Variables[name]; known && other != parts[4] {
				err = fmt.Errorf("%s has two defaults, %q and %q", name, other, parts[4])
			} else {
				p.Variables[name] = parts[4]
			}
		}
		return "${" + name + "}"
	})
	return out, names, err
}

func writeGoose(m migration.Migration) []Written {
	up, down := halves(m)
	var b strings.Builder
	if outside(m.Up) || outside(m.Down) {
		b.WriteString("-- +goose NO TRANSACTION\n")
	}
	b.WriteString("-- +goose Up\n" + gooseStatements(up))
	if len(m.Down.Statements) > 0 {
		b.WriteString("\n-- +goose Down\n" + gooseStatements(down))
	}
	return []Written{{Name: string(m.Version) + "_" + nameOf(m) + ".sql", Text: b.String()}}
}

// gooseStatements puts a bracket around what goose, which cuts at semicolons
// that end a line, would cut in the middle.
func gooseStatements(statements []migration.Statement) string {
	return bracketed(statements, "-- +goose StatementBegin\n", "-- +goose StatementEnd\n")
}
