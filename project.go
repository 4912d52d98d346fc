package whimbrel

import (
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Project is what is run: migrations, and what belongs to them.
type Project struct {
	// Migrations as migration.Load gives them. They must not be altered afterwards.
	Migrations []migration.Migration
	// Functions are migrations written in Go, which take their place among the
	// others by their version.
	Functions []Function
	// Scripts runs migrations in JavaScript and TypeScript; see package js.
	// Without it they are refused once they are to run.
	Scripts Runtime
	// Hooks run before and after a run, and each migration; see
	// migration.LoadHooks. They do not run where only the history is changed.
	Hooks migration.Hooks
	// Variables are the values of what files ask for by the annotation Variables.
	// One of four characters or more is in no error, event or table of
	// whimbrel's, also where the server quotes it.
	Variables map[string]string
	// Tags, unless empty, narrow what is pending to the migrations that have one
	// of them: for Up, Status and Verify. The others stay pending. A tag that no
	// migration has is an error of New.
	Tags []string
	// AcceptMarks lets pending migrations run in which a comment looks like the mark of the
	// down migration (migration.Migration.UnreadMark). It is for servers that are thrown away,
	// where what has long been applied runs again as it did then.
	AcceptMarks bool
}

// inOrder gives the migrations by their versions, those that are functions among them.
func (p Project) inOrder() ([]migration.Migration, error) {
	all := p.Migrations
	byVersion := func(a, b migration.Migration) int { return a.Version.Compare(b.Version) }
	// what Load gives is sorted, and large
	if len(p.Functions) > 0 || !slices.IsSortedFunc(all, byVersion) {
		all = slices.Clone(all)
	}
	for _, f := range p.Functions {
		file, err := f.migration()
		if err != nil {
			return nil, err
		}
		all = append(all, file)
	}
	slices.SortStableFunc(all, byVersion)
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.Version.Equal(b.Version) {
			return nil, &Error{
				Code: CodeConfiguration, Version: b.Version, Path: b.Path,
				Message: fmt.Sprintf("version %s appears twice: here and in %s", b.Version, a.Path),
				Remedy:  "give one of them another version",
			}
		}
	}
	return all, checkTags(p.Tags, all)
}
