package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Writability are the details of writable.
type Writability struct {
	Standby  bool `json:"standby"`
	ReadOnly bool `json:"read_only"` // default_transaction_read_only
}

// Lines has nothing to add to the message.
func (Writability) Lines() []string { return nil }

func lookWritable(ctx context.Context, v *visit) (finding, error) {
	w := Writability{Standby: v.server.Recovery}
	err := v.read(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT pg_catalog.current_setting('default_transaction_read_only') = 'on'").Scan(&w.ReadOnly)
	})
	return judgeWritable(w, v.server.Role), err
}

func judgeWritable(w Writability, role string) finding {
	f := finding{details: w, passed: !w.Standby && !w.ReadOnly, message: "the server takes writes"}
	switch {
	case w.Standby:
		f.message, f.remedy = "the server is a standby, or is still recovering", "connect to the primary"
	case w.ReadOnly:
		f.message = "transactions are read-only: default_transaction_read_only is on"
		f.remedy = fmt.Sprintf("unset it for the role %s or the database, or connect to the primary", role)
	}
	return f
}
