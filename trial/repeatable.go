package trial

import (
	"context"
	"errors"
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// repeatables runs the repeatable migrations behind all others on a database of
// their own, twice: what can run again must bear it.
func (t *trial) repeatables(ctx context.Context) error {
	all := t.history.config.Migrations
	if !slices.ContainsFunc(all, func(m migration.Migration) bool { return m.Version.Repeatable() }) ||
		(&worker{trial: t}).hindrance(len(t.history.migrations)) != "" {
		return nil
	}
	d, err := t.newDatabase(ctx)
	if err != nil {
		return err
	}
	failed := d.repeat(ctx)
	if failed == nil {
		// Forgotten, they run for a second time upon what is there.
		if _, err := d.conn.Exec(ctx, "DELETE FROM "+d.history.Sanitize()+" WHERE version LIKE 'R\\_\\_%'"); err != nil {
			return errors.Join(err, d.drop(ctx))
		}
		failed = d.repeat(ctx)
	}
	var e *whimbrel.Error
	if failed == nil {
		return d.drop(ctx)
	}
	if !errors.As(failed, &e) || ctx.Err() != nil {
		return errors.Join(failed, d.drop(ctx))
	}
	t.note(engineFailure(CheckUp, e))
	return d.retain(ctx, "as the failure of "+string(e.Version)+" left it")
}

// repeat applies everything, the repeatable migrations included.
func (d *database) repeat(ctx context.Context) error {
	config := d.trial.history.until(len(d.trial.history.migrations), d.config)
	config.Migrations = d.trial.history.config.Migrations
	config.Listener = d.trial.forward
	m, err := whimbrel.New(config)
	if err != nil {
		return err
	}
	_, err = m.Up(ctx, whimbrel.UpOptions{})
	return err
}
