//go:build !lean

package main

import (
	"context"
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/forecast"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
)

// foretold is a forecast as a judgement.
type foretold struct{ forecast.Forecast }

func (f foretold) text(p present.Style, verbose bool) string {
	return f.Text(p, verbose)
}

// planDocument is the text of a plan that is kept, with its judgement, if there is one.
func planDocument(basis whimbrel.Basis, told judgement) ([]byte, error) {
	if f, ok := told.(foretold); ok {
		return forecast.Document(basis, &f.Forecast)
	}
	return forecast.Document(basis, nil)
}

// study makes the forecast of a plan.
func (a *app) study(ctx context.Context, p *project.Project, migrator *whimbrel.Migrator, plan whimbrel.Plan,
	flags *planFlags) (judgement, error) {
	options := forecast.Options{
		Connection: migrator.Connection(), Rehearse: flags.rehearse, Variables: p.Variables, Scripts: p.Scripts,
		Severities: ofHazards(p),
		Progress:   func(message string) { a.note("%s", message) },
	}
	if flags.rehearse {
		var err error
		if options.Sandbox, err = a.sandbox(p); err != nil {
			return nil, err
		}
		status, err := migrator.Status(ctx)
		if err != nil {
			return nil, err
		}
		options.History, options.WithoutFiles = applied(status, p.Migrations)
	}
	told, err := forecast.Study(ctx, plan, options)
	if err != nil {
		return nil, err
	}
	return foretold{told}, nil
}

// applied gives the files of the migrations that are applied, in the order in which
// they were, and whether some are missing.
func applied(status whimbrel.Status, files []migration.Migration) (all []migration.Migration, missing bool) {
	for _, row := range status.Applied {
		i := slices.IndexFunc(files, func(m migration.Migration) bool { return m.Version.Equal(row.Version) })
		if i < 0 {
			missing = true
			continue
		}
		all = append(all, files[i])
	}
	return all, missing
}
