package trial

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
)

// fill gives every table that was not filled before so many rows. What could not be
// filled is noted.
func (d *database) fill(ctx context.Context, rows int) error {
	filled, err := sandbox.Filling{
		Rows: rows, Except: append([]string{observerSchema + ".observations"}, d.own...),
		Done: func(oid uint32) bool { return d.filled[oid] },
	}.Fill(ctx, d.conn)
	if err != nil || len(filled) == 0 {
		return err
	}
	for _, t := range filled {
		d.filled[t.OID] = true
		if t.Why == "" {
			continue
		}
		d.trial.note(Finding{
			Severity: Warning, Check: CheckFill,
			Message: fmt.Sprintf("the table %s could not be filled with %s: %s", t.Name, present.Plural(rows, "row"), t.Why),
			Remedy:  "give it rows in a file of tests, if its size matters",
		})
	}
	_, err = d.conn.Exec(ctx, "ANALYZE")
	return err
}
