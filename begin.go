package whimbrel

import (
	"context"
	"fmt"
)

// Begin makes an empty history, and settles by it that what another tool has in this
// database has nothing to do with the files: no later run asks about it again. On a
// history that is there and empty it says so in the log; one that has rows is an error.
func (m *Migrator) Begin(ctx context.Context) error {
	db, s, err := m.start(ctx, withoutDownMigrations)
	if err != nil {
		return err
	}
	defer db.close()
	if n := len(s.applied) + len(s.repeated) + len(s.journal.versions()); n > 0 {
		return &Error{
			Code: CodeConfiguration, Message: fmt.Sprintf("%s.%s is not an empty history: it has rows of migrations",
				db.tables.schema, db.tables.name),
			Remedy: "see them with Migrator.Status; take one off it with Migrator.Forget(VERSION)",
		}
	}
	if err := m.writable(db); err != nil {
		return err
	}
	if err := m.prepare(ctx, db); err != nil {
		return err
	}
	if err := m.logRun(ctx, db, "baseline", "none"); err != nil {
		return m.serverError(ctx, "noting that the history begins empty", err)
	}
	return nil
}
