package migration

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Hooks are files of SQL that run before and after a run, or each migration;
// nil for what there is none of. A hook has a name, a path, statements in Up,
// settings and variables, and nothing else of a migration.
type Hooks struct {
	BeforeRun, AfterRun, BeforeEach, AfterEach *Migration
}

// All are the hooks that there are.
func (h Hooks) All() (all []Migration) {
	for _, hook := range []*Migration{h.BeforeRun, h.BeforeEach, h.AfterEach, h.AfterRun} {
		if hook != nil {
			all = append(all, *hook)
		}
	}
	return all
}

// place is where a hook of a name belongs; nil if there is none of that name.
func (h *Hooks) place(name string) **Migration {
	switch name {
	case "before_run":
		return &h.BeforeRun
	case "after_run":
		return &h.AfterRun
	case "before_each":
		return &h.BeforeEach
	case "after_each":
		return &h.AfterEach
	}
	return nil
}

var hookNames = []string{"before_run", "after_run", "before_each", "after_each"}

// LoadHooks reads the files before_run.sql, after_run.sql, before_each.sql and
// after_each.sql of a folder, of which none must be there. Any other .sql file in
// it is an error, since a hook that is misspelt would just not run. The error
// joins an *Error for everything that is wrong.
func LoadHooks(source Source) (Hooks, error) {
	var hooks Hooks
	entries, err := fs.ReadDir(source.FS, source.dir())
	if err != nil {
		problem := source.folderError(err)
		problem.Remedy = "correct the folder of the hooks"
		return Hooks{}, problem
	}
	var problems []error
	for _, entry := range entries {
		file := entry.Name()
		if kind, known := kindOf(file); isLeftAlone(file) || !known || kind != SQL {
			continue
		}
		hook, err := source.hook(source.candidate(source.dir(), "", entry))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		*hooks.place(hook.Name) = &hook
	}
	if len(problems) > 0 {
		return Hooks{}, join(problems)
	}
	return hooks, nil
}

func (s Source) hook(file candidate) (Migration, error) {
	text, problem := s.read(file, make([]byte, 4096))
	if problem != nil {
		return Migration{}, problem
	}
	return ParseHook(file.name, text)
}

// ParseHook reads one file of hooks, of which file is the name for a reader; its
// last element says which hook it is.
func ParseHook(file, text string) (Migration, error) {
	name := strings.TrimSuffix(path.Base(file), path.Ext(file))
	if new(Hooks).place(name) == nil {
		remedy := "the hooks are " + strings.Join(hookNames, ", ") + "; a file whose name begins with \"_\" is left alone"
		if near := plaintext.Nearest(name, hookNames); near != "" {
			remedy = fmt.Sprintf("did you mean %s.sql?", near)
		}
		return Migration{}, &Error{Code: CodeBadName, Path: file, Message: "is not the name of a hook", Remedy: remedy}
	}
	m := Migration{Name: name, Kind: SQL, Path: file}
	m.take(text)
	m.Checksum = m.checksum()
	if problem := readable(m.Text); problem != nil {
		return Migration{}, locate(file, []*Error{problem})
	}
	m, problems := read(m, false, new(room))
	problems = append(problems, unfitForHook(m)...)
	if len(problems) > 0 {
		return Migration{}, locate(file, problems)
	}
	return m, nil
}

// unfitForHook refuses what only a migration can have. A hook is part of a
// transaction, in both directions.
func unfitForHook(m Migration) (problems []*Error) {
	wrong := func(at Position, message, remedy string) {
		problems = append(problems, &Error{Code: CodeHook, Position: at, Message: message, Remedy: remedy})
	}
	statements, _ := pgsql.Split(m.Text, pgsql.Options{Mark: isAnnotation})
	for _, s := range statements {
		if s.Class != pgsql.Mark {
			continue
		}
		l := &line{text: strings.TrimSpace(s.Text), start: s.Start}
		switch word, _ := l.annotation(); word {
		case "Up", "Down":
			wrong(s.Start, "a hook has no directions", "remove the mark; current_setting('whimbrel.direction') says which it is")
		case "Irreversible", "Tags", "After", "Squashes":
			wrong(s.Start, word+" is for migrations", "leave it out")
		}
	}
	for _, s := range m.Up.Statements {
		if s.block != 0 || s.Class == pgsql.TransactionControl {
			wrong(s.Start, "a hook is part of a transaction, and has none of its own: "+firstLine(s.Text),
				"put it into a migration")
			break
		}
		if s.Class == pgsql.Alone || s.Batch != nil {
			wrong(s.Start, "a hook is part of a transaction, and this would be outside of it: "+firstLine(s.Text),
				"put it into a migration")
		}
	}
	return problems
}
