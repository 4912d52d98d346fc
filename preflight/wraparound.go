package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Wraparound are the details of transaction_id_age.
type Wraparound struct {
	Limit     int64         `json:"limit"`
	Databases []DatabaseAge `json:"databases"` // those over the limit, the oldest first
	Oldest    DatabaseAge   `json:"oldest"`
}

// DatabaseAge is how many transactions and how many multixacts ago the oldest row
// of a database that is not frozen was written.
type DatabaseAge struct {
	Name         string `json:"name"`
	Transactions int64  `json:"transactions"`
	Multixacts   int64  `json:"multixacts"`
}

// wraparoundAt is where transaction ids run out.
const wraparoundAt = 1 << 31

// Lines gives the databases.
func (w Wraparound) Lines() []string {
	var out []string
	for _, d := range w.Databases {
		out = append(out, fmt.Sprintf("%s: %d transactions, %d multixacts old; the end is at %d", d.Name, d.Transactions,
			d.Multixacts, int64(wraparoundAt)))
	}
	return out
}

func lookWraparound(ctx context.Context, v *visit) (finding, error) {
	var ages []DatabaseAge
	err := v.read(ctx, func(tx pgx.Tx) (err error) {
		ages, err = ask[DatabaseAge](ctx, tx, `
SELECT datname::text AS name, pg_catalog.age(datfrozenxid)::bigint AS transactions, pg_catalog.mxid_age(datminmxid)::bigint AS multixacts
FROM pg_catalog.pg_database ORDER BY greatest(pg_catalog.age(datfrozenxid), pg_catalog.mxid_age(datminmxid)) DESC, 1`)
		return err
	})
	if err != nil {
		return finding{}, err
	}
	return judgeWraparound(ages, v.options.Settings.MaxTransactionIDAge), nil
}

// judgeWraparound passes where no database is older than the limit. The server
// counts for all of its databases together, so each of them counts.
func judgeWraparound(ages []DatabaseAge, limit int64) finding {
	details := Wraparound{Limit: limit, Databases: []DatabaseAge{}}
	for _, d := range ages {
		oldest := max(d.Transactions, d.Multixacts)
		if oldest > limit {
			details.Databases = append(details.Databases, d)
		}
		if oldest > max(details.Oldest.Transactions, details.Oldest.Multixacts) {
			details.Oldest = d
		}
	}
	f := finding{details: details, passed: len(details.Databases) == 0}
	share := float64(max(details.Oldest.Transactions, details.Oldest.Multixacts)) / wraparoundAt * 100
	f.message = fmt.Sprintf("%.1f %% of the transaction ids before a wraparound are used, in database %s", share,
		details.Oldest.Name)
	if !f.passed {
		f.remedy = "find what holds vacuum back (old transactions, replication slots), and VACUUM (FREEZE) the oldest " +
			"tables before migrating"
	}
	return f
}
