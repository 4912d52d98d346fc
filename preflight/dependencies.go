package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Dependents are the details of dependencies.
type Dependents struct {
	Applications []Application `json:"applications"` // the most active first
	Replicas     []Replica     `json:"replicas"`
	// Slots are logical replication slots of this database, Subscriptions those
	// through which it receives, Publications those with tables of what is pending.
	Slots         []Slot         `json:"logical_slots"`
	Subscriptions []string       `json:"subscriptions"`
	Publications  []Publications `json:"publications"`
	// Pooled is set where this very connection goes through a pooler.
	Pooled bool `json:"pooled"`
}

// Application is who connects under one application_name.
type Application struct {
	Name string `json:"name"` // "" for connections without one
	// Active counts the connections that are running a query.
	Active int      `json:"active"`
	Total  int      `json:"total"`
	Users  []string `json:"users"`
}

// Replica is a standby that streams from this server.
type Replica struct {
	Name string        `json:"name"`
	Mode string        `json:"mode"`   // sync_state: async, sync, …
	Lag  time.Duration `json:"lag_ms"` // replay_lag; 0 where it is idle
	// Behind is how many bytes of WAL it has yet to replay; -1 where that cannot be seen.
	Behind int64 `json:"behind_bytes"`
	hidden bool  // the role may not see how it is
}

// MarshalJSON writes durations in milliseconds.
func (r Replica) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Replica) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, r) }

// Slot is a logical replication slot.
type Slot struct {
	Name   string `json:"name"`
	Plugin string `json:"plugin"`
	Active bool   `json:"active"`
	// Retained is how many bytes of WAL are kept for it.
	Retained int64 `json:"retained_bytes"`
}

// Publications are those that a table belongs to.
type Publications struct {
	Table string   `json:"table"`
	Names []string `json:"names"`
}

// Lines gives who depends on the database.
func (d Dependents) Lines() []string {
	var out []string
	for _, a := range d.Applications {
		out = append(out, fmt.Sprintf("%s: %d active of %s (%s)", a.name(), a.Active, present.Plural(a.Total, "connection"),
			present.List(a.Users, 5)))
	}
	for _, r := range d.Replicas {
		line := fmt.Sprintf("replica %s (%s): ", r.Name, r.Mode)
		if r.Behind < 0 {
			line += "how far it is behind cannot be seen"
		} else {
			line += fmt.Sprintf("%s behind", present.Bytes(r.Behind))
		}
		if r.Lag > 0 {
			line += ", " + present.Duration(r.Lag)
		}
		out = append(out, line)
	}
	for _, s := range d.Slots {
		state := "active"
		if !s.Active {
			state = "not active, and keeps WAL"
		}
		out = append(out, fmt.Sprintf("logical slot %s (%s): %s, %s of WAL kept", s.Name, s.Plugin, state,
			present.Bytes(s.Retained)))
	}
	for _, s := range d.Subscriptions {
		out = append(out, "subscription "+s+": its publisher does not send changes of the schema")
	}
	for _, p := range d.Publications {
		out = append(out, fmt.Sprintf("%s is published (%s): subscribers do not get changes of its schema, so make them "+
			"there first", p.Table, present.List(p.Names, 5)))
	}
	if d.Pooled {
		out = append(out, "a pooler is in front: its clients keep their prepared statements over a migration, and "+
			"settings of a session do not hold")
	}
	return out
}

func (a Application) name() string {
	if a.Name == "" {
		return "(no application_name)"
	}
	return a.Name
}

// connection counts of an application, as they were read.
type counted struct {
	Name          string
	Active, Total int
	Hidden        int
	Users         []string
}

func lookDependencies(ctx context.Context, v *visit) (finding, error) {
	var applications []counted
	details := Dependents{Pooled: v.server.Pooled}
	err := v.read(ctx, func(tx pgx.Tx) error {
		var err error
		if applications, err = ask[counted](ctx, tx, `
SELECT coalesce(application_name, '') AS name, (count(*) FILTER (WHERE state = 'active'))::int AS active, count(*)::int AS total,
	(count(*) FILTER (WHERE query = '<insufficient privilege>'))::int AS hidden, coalesce(pg_catalog.array_agg(DISTINCT usename::text), '{}') AS users
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usesysid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
	AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1`); err != nil {
			return err
		}
		return readReplication(ctx, tx, v, &details)
	})
	if err != nil {
		return finding{}, err
	}
	return judgeDependencies(applications, details, v.options.Settings), nil
}

// readReplication reads who receives from this database and from whom it does.
func readReplication(ctx context.Context, tx pgx.Tx, v *visit, details *Dependents) error {
	position := "pg_catalog.pg_current_wal_lsn()"
	if v.server.Recovery {
		position = "pg_catalog.pg_last_wal_replay_lsn()"
	}
	type replica struct {
		Name, Mode string
		Lag        float64
		Behind     int64
		Hidden     bool
	}
	replicas, err := ask[replica](ctx, tx, `
SELECT coalesce(nullif(application_name, ''), 'pid ' || pid) AS name, coalesce(sync_state, 'unknown') AS mode,
	coalesce(extract(epoch FROM replay_lag), 0)::float8 AS lag, coalesce(pg_catalog.pg_wal_lsn_diff(`+position+
		`, replay_lsn), -1)::bigint AS behind, state IS NULL AS hidden
FROM pg_catalog.pg_stat_replication
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = pg_stat_replication.pid AND s.slot_type = 'logical')
ORDER BY 1`)
	if err != nil {
		return err
	}
	for _, r := range replicas {
		details.Replicas = append(details.Replicas, Replica{r.Name, r.Mode, duration(r.Lag), r.Behind,
			r.Hidden})
	}
	if details.Slots, err = ask[Slot](ctx, tx, `
SELECT slot_name::text AS name, coalesce(plugin::text, '') AS plugin, active, coalesce(pg_catalog.pg_wal_lsn_diff(`+position+`, restart_lsn), 0)::bigint AS retained
FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND database = pg_catalog.current_database() ORDER BY 1`); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT subname::text FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1`)
	if err != nil {
		return err
	}
	if details.Subscriptions, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	if details.Publications, err = ask[Publications](ctx, tx, `
SELECT pg_catalog.format('%I.%I', t.schemaname, t.tablename) AS "table", pg_catalog.array_agg(DISTINCT t.pubname::text) AS names
FROM pg_catalog.pg_publication_tables t JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE c.oid = ANY ($1) GROUP BY 1 ORDER BY 1`, v.pending.defined()); err != nil {
		return err
	}
	return nil
}

// defined gives the oids of tables whose definition is about to change, with
// their partitions.
func (p pending) defined() []uint32 {
	all := []uint32{}
	for _, t := range p.touches {
		changed := slices.Contains([]pgsql.Effect{pgsql.Brief, pgsql.Rewrite, pgsql.Scan}, t.Effect)
		if changed && pgsql.CommandIs(t.statement.Command, "ALTER TABLE", "DROP TABLE") {
			all = append(all, t.relation.Members...)
		}
	}
	return all
}

// judgeDependencies passes where no application is busier than the limit, no
// replica is behind, and nobody subscribes to what changes.
func judgeDependencies(applications []counted, details Dependents, settings Settings) finding {
	var f finding
	hidden, veiled := 0, 0 // connections and replicas
	var busy, late []string
	details.Applications = []Application{}
	for _, c := range applications {
		a := Application{Name: c.Name, Active: c.Active, Total: c.Total, Users: c.Users}
		details.Applications = append(details.Applications, a)
		hidden += c.Hidden
		if c.Active > settings.MaxConnectionsPerApplication {
			busy = append(busy, fmt.Sprintf("%s has %d", a.name(), c.Active))
		}
	}
	for _, r := range details.Replicas {
		if r.Lag > settings.MaxReplicaLag {
			late = append(late, fmt.Sprintf("replica %s is %s behind", r.Name, present.Duration(r.Lag)))
		}
		if r.Behind < 0 {
			f.unseen = append(f.unseen, "how far replica "+r.Name+" is behind")
		}
		if r.hidden {
			veiled++
		}
	}
	var problems, remedies []string
	if len(busy) > 0 {
		problems = append(problems, fmt.Sprintf("more than %s: %s", present.Plural(settings.MaxConnectionsPerApplication,
			"active connection"),
			present.List(busy, 5)))
		remedies = append(remedies, "run it when the applications are quiet")
	}
	if len(late) > 0 {
		problems = append(problems, present.List(late, 5))
		remedies = append(remedies, "wait until the replicas have caught up")
	}
	if len(details.Publications) > 0 {
		problems = append(problems, fmt.Sprintf("%s of what is pending published, and subscribers do not get changes of "+
			"the schema",
			either(len(details.Publications), "1 table is", "%d tables are")))
		remedies = append(remedies, "change the subscribers' tables first (what is removed: last)")
	}
	f.passed, f.message = len(problems) == 0, strings.Join(problems, "; ")
	f.remedy = strings.Join(remedies, "; ")
	if f.passed {
		f.message = fmt.Sprintf("%s, none with more than %s", present.Plural(len(applications), "application"),
			present.Plural(settings.MaxConnectionsPerApplication, "active connection"))
	}
	if hidden > 0 {
		f.unseen = append(f.unseen, fmt.Sprintf("whether %s of other roles are active", present.Plural(hidden, "connection")))
	}
	if hidden+veiled > 0 && f.passed {
		f.passed, f.unknown, f.remedy = false, true, "grant the role pg_read_all_stats or pg_monitor"
		f.message = fmt.Sprintf("%s and %s, of which the role cannot see what they do", present.Plural(len(applications),
			"application"),
			present.Plural(len(details.Replicas), "replica"))
	}
	f.details = details
	return f
}
