package whimbreltest

import (
	"errors"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// explain shows a failure with everything that helps: the place, the statement,
// what PostgreSQL said, and the way out.
func explain(err error) string {
	if problems := migration.Problems(err); len(problems) > 0 {
		var lines []string
		for _, problem := range problems {
			lines = append(lines, problem.Error()+indented("", problem.Remedy))
		}
		return strings.Join(lines, "\n")
	}
	var failed *whimbrel.Error
	if !errors.As(err, &failed) {
		return err.Error()
	}
	return err.Error() + indented("", failed.Statement) + indented("detail: ", failed.Detail) + indented("hint: ",
		failed.Hint) +
		indented("where: ", failed.Where) + indented("", failed.Remedy)
}

func indented(label, text string) string {
	if text == "" {
		return ""
	}
	return "\n    " + strings.ReplaceAll(label+text, "\n", "\n    ")
}
