package squash

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// prove runs the baseline on a server of its own and compares; then it takes both
// databases on, with the files as they will be, and compares again: the one as
// every existing database will go on, the other as a new one.
func (w *work) prove(ctx context.Context, b *Baseline, baseline migration.Migration, kept []table) (err error) {
	w.progress("running the baseline")
	if w.made, err = w.open(ctx, w.old.server.Version().Major); err != nil {
		return err
	}
	if err := w.made.up(ctx, []migration.Migration{baseline}); err != nil {
		return because("the baseline does not run on an empty server", err)
	}
	w.progress("comparing")
	if err := w.compare(ctx, "the baseline does not make the same schema"); err != nil {
		return err
	}
	if err := w.compareRows(ctx, kept); err != nil {
		return err
	}
	if len(w.rest) == 0 {
		return nil
	}
	w.progress("going on with %d newer migrations on both", len(w.rest))
	b.Rest = len(w.rest)
	files := append([]migration.Migration{baseline}, w.rest...)
	for _, d := range []*database{w.old, w.made} {
		if err := d.up(ctx, files); err != nil {
			return because("with the baseline, the newer migrations do not run", err)
		}
	}
	return w.compare(ctx, "with the newer migrations, the schemas are not the same any more")
}

// mostDifferences is how many are told.
const mostDifferences = 20

func (w *work) compare(ctx context.Context, what string) error {
	old, err := w.old.schema(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	made, err := w.made.schema(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	differences := schema.Diff(old, made)
	if len(differences) == 0 {
		return nil
	}
	var lines []string
	for _, d := range differences[:min(mostDifferences, len(differences))] {
		lines = append(lines, d.String())
	}
	if more := len(differences) - mostDifferences; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return &whimbrel.Error{Code: whimbrel.CodeSquash, Message: what, Detail: strings.Join(lines, "\n"),
		Remedy: "squash up to another version; nothing was changed"}
}

// compareRows compares the rows of the tables that were kept, as text and in an
// order of their own, so that it does not matter how they lie.
func (w *work) compareRows(ctx context.Context, kept []table) error {
	for _, t := range kept {
		query := `SELECT count(*) || ' ' || coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.md5(t::text), '' ORDER BY pg_catalog.md5(t::text))), '') FROM ONLY ` + t.name + " t"
		var old, made string
		if err := errors.Join(w.old.conn.QueryRow(ctx, query).Scan(&old), w.made.conn.QueryRow(ctx,
			query).Scan(&made)); err != nil {
			return fmt.Errorf("comparing the rows of %s: %w", t.name, err)
		}
		if old != made {
			return &whimbrel.Error{Code: whimbrel.CodeSquash,
				Message: fmt.Sprintf("the baseline does not make the same rows in %s", t.name),
				Remedy:  "squash up to another version; nothing was changed"}
		}
	}
	return nil
}
