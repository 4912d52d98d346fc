package preflight

import (
	"context"
	"errors"
	"fmt"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Disagreements are the details of history.
type Disagreements struct {
	Applied int `json:"applied"`
	// Differences between history and files, other than pending migrations.
	Differences []whimbrel.Difference `json:"differences"`
	Pending     int                   `json:"pending"`
}

// Lines gives what differs.
func (d Disagreements) Lines() []string {
	var out []string
	for _, difference := range d.Differences {
		out = append(out, fmt.Sprintf("%s %s: %s", difference.Version, difference.Name, difference.Message))
	}
	return out
}

func lookHistory(ctx context.Context, v *visit) (finding, error) {
	verification, err := v.options.Verify(ctx)
	var own *whimbrel.Error
	if errors.As(err, &own) && ctx.Err() == nil {
		return finding{unknown: own.Code == whimbrel.CodePermission, message: own.Message, remedy: own.Remedy}, nil
	}
	if err != nil {
		return finding{}, err
	}
	return judgeHistory(verification), nil
}

// judgeHistory passes where nothing differs but what is pending.
func judgeHistory(v whimbrel.Verification) finding {
	details := Disagreements{Applied: v.Applied, Differences: []whimbrel.Difference{}}
	for _, d := range v.Differences {
		if d.Kind == "pending" {
			details.Pending++
		} else {
			details.Differences = append(details.Differences, d)
		}
	}
	f := finding{details: details, passed: len(details.Differences) == 0}
	if f.passed {
		f.message = fmt.Sprintf("%s applied, as the files say; %d pending", present.Plural(v.Applied, "migration"),
			details.Pending)
		return f
	}
	f.message = fmt.Sprintf("%s between history and files", present.Plural(len(details.Differences), "difference"))
	f.remedy = details.Differences[0].Remedy
	return f
}
