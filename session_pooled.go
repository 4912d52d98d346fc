package whimbrel

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// holdsBehindPool refuses what cannot hold behind a transaction pooler, before anything
// runs: there a session ends with its transaction, so that nothing is set for what runs
// outside one, and what a function sets or a temporary table keeps is gone.
func (r *run) holdsBehindPool(plan Plan) error {
	if !r.db.facts.behindPool {
		return nil
	}
	for _, p := range plan.Migrations {
		if p.Atomic() {
			continue
		}
		if err := p.holdsBehindPool(); err != nil {
			return err
		}
	}
	return nil
}

func (p Planned) holdsBehindPool() error {
	set, made := map[string]bool{}, map[string]int{}
	for _, s := range p.Migration.Settings {
		if s.Name != "lock_timeout" { // which such a statement does without
			set[s.Name] = true
		}
	}
	for _, s := range p.Steps {
		for i, statement := range s.Statements {
			if i >= len(s.Statements)-s.Trailing {
				break
			}
			if err := p.missesBehindPool(s, i, set, made); err != nil {
				return err
			}
			if s.Number < len(p.Steps) || i < s.Prelude {
				if err := p.notRepeated(s, i); err != nil {
					return err
				}
			}
			note(statement, s.hook, set)
			if name, atCommit := pgsql.Temporary(statement.Statement); name != "" && !atCommit {
				made[name] = s.Number
			} else if name := pgsql.Prepares(statement.Statement); name != "" {
				made[name] = s.Number
			} else if (s.Number < len(p.Steps) || s.Kind == StepAlone) && setsForSession(statement) || s.Kind == StepAlone &&
				setsInside(statement) {
				return p.refusedBehindPool(s, i, "what this sets for the session is gone with its transaction",
					"write SET … as a statement of its own, or run the migration over a direct connection")
			}
		}
		if s.code != nil && !s.inTransaction() && len(set) > 0 {
			return p.refusedBehindPool(s, 0, fmt.Sprintf("the script runs outside a transaction, and %s cannot be set for it",
				listed(set)), "let the script set it in client.tx(), or run it over a direct connection")
		}
	}
	return nil
}

// missesBehindPool refuses a statement that needs what is not there.
func (p Planned) missesBehindPool(s Step, i int, set map[string]bool, made map[string]int) error {
	statement := s.Statements[i]
	if s.Kind == StepAlone && i >= s.Prelude && len(set) > 0 {
		return p.refusedBehindPool(s, i, fmt.Sprintf("%s runs outside a transaction, and %s cannot be set for it",
			statement.Command, listed(set)),
			"write names with their schemas, set it for the role (ALTER ROLE … SET), or run the migration over a direct "+
				"connection")
	}
	for name, number := range made {
		if number < s.Number && pgsql.Names(statement.Text, name) {
			return p.refusedBehindPool(s, i, fmt.Sprintf("%q was made for the session by step %d, and is gone with its "+
				"transaction", name, number),
				"make a temporary table an ordinary one, and prepare a statement where it is executed; or run the migration over "+
					"a direct connection")
		}
	}
	return nil
}

// note follows what is set for the session.
func note(s migration.Statement, hook bool, set map[string]bool) {
	changes, only := pgsql.SettingChanges(s.Statement)
	if !only {
		return
	}
	for _, c := range changes {
		switch {
		case c.Local && !hook:
		case c.Name == "":
			maps.DeleteFunc(set, func(name string, _ bool) bool { return name != "role" && name != "session_authorization" })
		case c.Reset:
			delete(set, c.Name)
		case c.Name != "lock_timeout":
			set[c.Name] = true
		}
	}
}

// notRepeated refuses a statement about the session that would not do the same at the
// head of each transaction behind it.
func (p Planned) notRepeated(s Step, i int) error {
	changes, _ := pgsql.SettingChanges(s.Statements[i].Statement)
	local := slices.ContainsFunc(changes, func(c pgsql.SettingChange) bool { return c.Local })
	for _, c := range changes {
		switch {
		case c.Local:
		case local:
			return p.refusedBehindPool(s, i, "this cannot be repeated in the transactions behind it: it sets "+c.Name+
				" for the session, and something else for its transaction", "write two statements")
		case !c.Reset && strings.HasPrefix(c.Name, "default_transaction_"):
			return p.refusedBehindPool(s, i, c.Name+" would have to be set before each transaction begins, and the session "+
				"ends with the one before it", "run the migration over a direct connection")
		}
	}
	return nil
}

// setsForSession reports whether a statement that is none about the session says that
// it sets something for it.
func setsForSession(s migration.Statement) bool {
	if _, only := pgsql.SettingChanges(s.Statement); only || strings.HasPrefix(s.Command, "CREATE") {
		return false
	}
	text := strings.ToLower(s.Text)
	return strings.Contains(text, "set_config") && len(localConfig().FindAllString(text, -1)) < strings.Count(text,
		"set_config")
}

// setsInside reports whether the text of a DO block, outside a transaction, sets
// something for the session, of which nobody could take notice behind it.
func setsInside(s migration.Statement) bool {
	return s.Command == "DO" && slices.ContainsFunc(settingInside().FindAllStringSubmatch(s.Text, -1),
		func(found []string) bool {
			return !pgsql.IsAnyOf(found[1], "LOCAL", "CONSTRAINTS", "TRANSACTION")
		})
}

var settingInside = plaintext.Pattern(`(?is)(?:;|\$|\bbegin|\bthen|\belse|\bloop)\s*set\s+([a-z_]+)`)

func listed(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

func (p Planned) refusedBehindPool(s Step, statement int, message, remedy string) error {
	return p.at(s, statement, &Error{Code: CodeUnsupported, Message: "behind a transaction pooler " + message,
		Remedy: remedy})
}
