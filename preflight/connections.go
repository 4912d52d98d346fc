package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
)

// Connections are the details of connections.
type Connections struct {
	Limit    int `json:"limit"`    // max_connections
	Reserved int `json:"reserved"` // for superusers and pg_use_reserved_connections
	Used     int `json:"used"`
	// OfRole and OfDatabase are their own limits and uses; a limit of -1 is none.
	OfRole     Share `json:"of_role"`
	OfDatabase Share `json:"of_database"`
	// Left is how many can still be opened by the role, Needed how many a run of
	// what is pending takes.
	Left   int `json:"left"`
	Needed int `json:"needed"`
	Spare  int `json:"spare"`
}

// Share is a limit of connections and how much of it is used.
type Share struct {
	Limit int `json:"limit"`
	Used  int `json:"used"`
}

// Lines gives the numbers.
func (c Connections) Lines() []string {
	out := []string{fmt.Sprintf("%d of max_connections %d are used, %d are reserved", c.Used, c.Limit, c.Reserved)}
	if c.OfRole.Limit >= 0 {
		out = append(out, fmt.Sprintf("%d of %d that the role may have", c.OfRole.Used, c.OfRole.Limit))
	}
	if c.OfDatabase.Limit >= 0 {
		out = append(out, fmt.Sprintf("%d of %d that the database may have", c.OfDatabase.Used, c.OfDatabase.Limit))
	}
	return out
}

// connectionsOfRun are those of every run: the work, the lease, the watch.
const connectionsOfRun = 3

func lookConnections(ctx context.Context, v *visit) (finding, error) {
	c := Connections{Spare: v.options.Settings.SpareConnections, Needed: connectionsOfRun + workers(v.options.Plan)}
	err := v.read(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
SELECT pg_catalog.current_setting('max_connections')::int,
	pg_catalog.current_setting('superuser_reserved_connections')::int + coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
	count(*)::int, (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user), (count(*) FILTER (WHERE usename = current_user))::int,
	(SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), (count(*) FILTER (WHERE datname = pg_catalog.current_database()))::int
FROM pg_catalog.pg_stat_activity
WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'`).
			Scan(&c.Limit, &c.Reserved, &c.Used, &c.OfRole.Limit, &c.OfRole.Used, &c.OfDatabase.Limit, &c.OfDatabase.Used)
	})
	if err != nil {
		return finding{}, err
	}
	return judgeConnections(c, v.server.Superuser, v.server.Pooled), nil
}

// workers is how many connections the widest backfill takes beside the others.
func workers(plan whimbrel.Plan) int {
	most := 0
	for _, m := range plan.Migrations {
		for _, step := range m.Steps {
			if step.Kind == whimbrel.StepBatch && !step.Done && len(step.Body()) > 0 && step.Body()[0].Batch != nil {
				most = max(most, step.Body()[0].Batch.Workers)
			}
		}
	}
	return most
}

// judgeConnections passes where a run leaves others the spare ones. The limits of
// role and database do not hold for superusers.
func judgeConnections(c Connections, superuser, pooled bool) finding {
	c.Left = c.Limit - c.Reserved - c.Used
	for _, own := range []Share{c.OfRole, c.OfDatabase} {
		if own.Limit >= 0 && !superuser {
			c.Left = min(c.Left, own.Limit-own.Used)
		}
	}
	f := finding{details: c, passed: c.Left >= c.Needed+c.Spare}
	f.message = fmt.Sprintf("%s left; a run takes %d", either(max(c.Left, 0), "1 connection is", "%d connections are"),
		c.Needed)
	if !f.passed {
		f.message += fmt.Sprintf(", and %d are to be spared for others", c.Spare)
		f.remedy = "close idle connections, or raise max_connections or the limit of the role or the database"
	}
	if pooled {
		f.unseen = append(f.unseen, "how many connections the pooler has left")
	}
	return f
}
