package migration

import (
	"errors"
	"slices"
)

// AsRun gives loaded migrations as a run of all of them has them: in its order, the
// repeatable ones behind the others and each after those that it mentions, and with
// values in place of their variables, in both directions. What judges migrations
// judges these. The error joins an *Error for each problem.
func AsRun(migrations []Migration, values map[string]string) ([]Migration, error) {
	var ordered, repeatables []Migration
	for _, m := range migrations {
		if m.Version.Repeatable() {
			repeatables = append(repeatables, m)
		} else {
			ordered = append(ordered, m)
		}
	}
	last, err := OrderRepeatables(repeatables)
	if err != nil {
		return nil, err
	}
	ordered = slices.Concat(ordered, last.Migrations)
	var problems []error
	for i, m := range ordered {
		up, upErr := m.WithVariables(values, false)
		down, downErr := m.WithVariables(values, true)
		problems = append(problems, upErr, downErr)
		up.Down = down.Down
		ordered[i] = up
	}
	return ordered, errors.Join(problems...)
}
