package forecast

import (
	"encoding/json"
	"fmt"

	"github.com/whimbrel-db/whimbrel"
)

// Document writes the basis of a plan as the JSON of a file, with the forecast that was
// made of it for people to read; nil for none. whimbrel.ParsePlan reads the plan back.
func Document(basis whimbrel.Basis, f *Forecast) ([]byte, error) {
	text, err := json.MarshalIndent(struct {
		whimbrel.Basis
		Forecast *Forecast `json:"forecast,omitempty"`
	}{basis, f}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the plan: %w", err)
	}
	return append(text, '\n'), nil
}
