package preflight

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Idle are the details of idle_in_transaction.
type Idle struct {
	// Timeout is idle_in_transaction_session_timeout for sessions without a setting
	// of their own; 0 is never.
	Timeout time.Duration `json:"timeout_ms"`
	// Exceptions are roles and databases with one of their own: "role app: 0".
	Exceptions []string `json:"exceptions"`
}

// MarshalJSON writes durations in milliseconds.
func (i Idle) MarshalJSON() ([]byte, error) { return millis.Marshal(&i) }

// Lines gives the exceptions.
func (i Idle) Lines() []string { return i.Exceptions }

func lookIdle(ctx context.Context, v *visit) (finding, error) {
	var details Idle
	var configured int64
	err := v.read(ctx, func(tx pgx.Tx) error {
		// The role's own setting is not that of others.
		if err := tx.QueryRow(ctx,
			`SELECT CASE WHEN source IN ('user', 'database user', 'client', 'session') THEN boot_val ELSE reset_val END::bigint
			FROM pg_catalog.pg_settings WHERE name = 'idle_in_transaction_session_timeout'`).Scan(&configured); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
SELECT pg_catalog.concat_ws(' in ', 'role ' || pg_catalog.quote_ident(r.rolname), 'database ' || pg_catalog.quote_ident(d.datname)) || ': ' || pg_catalog.split_part(c.setting, '=', 2)
FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
WHERE c.setting LIKE 'idle\_in\_transaction\_session\_timeout=%' AND (s.setdatabase = 0 OR d.datname = pg_catalog.current_database()) ORDER BY 1`)
		if err != nil {
			return err
		}
		details.Exceptions, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return finding{}, err
	}
	details.Timeout = time.Duration(configured) * time.Millisecond
	if details.Exceptions == nil {
		details.Exceptions = []string{}
	}
	return judgeIdle(details), nil
}

// judgeIdle passes where the server ends transactions that were forgotten. Settings
// of single roles are told and do not count.
func judgeIdle(details Idle) finding {
	f := finding{details: details, passed: details.Timeout > 0}
	if f.passed {
		f.message = fmt.Sprintf("transactions that do nothing are ended after %s", present.Duration(details.Timeout))
		return f
	}
	f.message = "transactions that do nothing are never ended: one that was forgotten holds its locks, and migrations, up"
	f.remedy = "set it for the applications' roles: ALTER ROLE … SET idle_in_transaction_session_timeout = '1min'"
	if len(details.Exceptions) > 0 {
		f.message += ", except for " + strings.Join(details.Exceptions, ", ")
	}
	return f
}
