package main

import (
	"context"
	"errors"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// compileScripts says what is wrong with the text of scripts, as loading says it of
// files of SQL: anyone who judges a folder must not pass over one that can never run.
// The scripts themselves are not run. A build without a runtime finds nothing; it
// cannot run them either.
func compileScripts(ctx context.Context, scripts whimbrel.Runtime, migrations []migration.Migration) error {
	if scripts == nil {
		return nil
	}
	var problems []error
	for _, m := range migrations {
		if m.Kind != migration.Script || m.Unfit != nil {
			continue
		}
		_, err := scripts.Compile(ctx, m)
		var malformed *whimbrel.Error
		if errors.As(err, &malformed) && malformed.Code == whimbrel.CodeMalformed {
			problems = append(problems, &migration.Error{
				Code: malformed.Code, Path: malformed.Path, Message: malformed.Message, Remedy: malformed.Remedy,
				Position: migration.Position{Line: malformed.Line, Column: malformed.Column},
			})
		}
	}
	return errors.Join(problems...)
}
