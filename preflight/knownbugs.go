package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Trap is a fault of some versions of PostgreSQL that a pending statement meets.
type Trap struct {
	// From is the first version with the fault, Fixed the first without.
	From       string   `json:"from"`
	Fixed      string   `json:"fixed"`
	Happens    string   `json:"happens"`
	Link       string   `json:"link"`
	Statements []string `json:"statements"`
}

// Traps are the details of version_traps.
type Traps struct {
	Server string `json:"server"`
	Traps  []Trap `json:"traps"`
}

// Lines gives what happens and where.
func (t Traps) Lines() []string {
	var out []string
	for _, trap := range t.Traps {
		out = append(out, fmt.Sprintf("%s (from %s to before %s, see %s)", trap.Happens, trap.From, trap.Fixed, trap.Link))
		for _, s := range trap.Statements {
			out = append(out, "  "+s)
		}
	}
	return out
}

// fault is a known fault: versions are as server_version_num, from the first with
// it to the first without, in each major version.
type fault struct {
	versions [][2]int
	happens  string
	link     string
	meets    func(statement) bool
}

func faults() []fault {
	return []fault{
		{
			versions: [][2]int{{140000, 140004}},
			happens:  "an index that is built or rebuilt concurrently may miss rows that are written meanwhile",
			link:     "https://www.postgresql.org/docs/release/14.4/",
			meets: func(s statement) bool {
				return strings.HasSuffix(s.Command, "CONCURRENTLY") && !strings.HasPrefix(s.Command, "DROP") &&
					!strings.HasPrefix(s.Command, "REFRESH")
			},
		},
		{
			versions: [][2]int{{120000, 120021}, {130000, 130017}, {140000, 140014}, {150000, 150009}, {160000, 160005},
				{170000, 170001}},
			happens: "a foreign key between partitioned tables may no longer be enforced after a partition was detached",
			link:    "https://www.postgresql.org/docs/release/17.1/",
			meets: func(s statement) bool {
				return pgsql.CommandIs(s.Command, "ALTER TABLE") && pgsql.HasKeyword(s.Text, "DETACH")
			},
		},
	}
}

func lookTraps(_ context.Context, v *visit) (finding, error) {
	f := v.pending.tell(judgeTraps(v.server.Version, v.server.Shown, v.pending.statements))
	f.unseen = v.pending.unseen
	return f, nil
}

// judgeTraps passes where no pending statement meets a fault of the version.
func judgeTraps(version int, shown string, statements []statement) finding {
	details := Traps{Server: shown, Traps: []Trap{}}
	for _, known := range faults() {
		i := slices.IndexFunc(known.versions, func(v [2]int) bool { return version >= v[0] && version < v[1] })
		if i < 0 {
			continue
		}
		span := known.versions[i]
		trap := Trap{From: minor(span[0]), Fixed: minor(span[1]), Happens: known.happens, Link: known.link}
		for _, s := range statements {
			if known.meets(s) {
				trap.Statements = append(trap.Statements, s.place()+": "+present.OneLine(s.Written(), 80))
			}
		}
		if len(trap.Statements) > 0 {
			details.Traps = append(details.Traps, trap)
		}
	}
	f := finding{details: details, passed: len(details.Traps) == 0,
		message: fmt.Sprintf("PostgreSQL %s has no known fault that what is pending would meet", shown)}
	if !f.passed {
		f.message = fmt.Sprintf("PostgreSQL %s: %s", shown, details.Traps[0].Happens)
		f.remedy = "update the server to " + details.Traps[0].Fixed + " or later first"
	}
	return f
}

// minor writes a server_version_num as people do.
func minor(version int) string { return fmt.Sprintf("%d.%d", version/10000, version%10000) }
