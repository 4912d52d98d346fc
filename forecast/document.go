package forecast

import (
	"encoding/json"
	"fmt"

	"github.com/whimbrel-db/whimbrel"
)

// Document writes a frozen plan as the JSON of a file, with the forecast that was
// made of it for anyone who reads it; nil for none. whimbrel.ParseFrozen reads the plan
// back.
func Document(frozen whimbrel.Frozen, f *Forecast) ([]byte, error) {
	text, err := json.MarshalIndent(struct {
		whimbrel.Frozen
		Forecast *Forecast `json:"forecast,omitempty"`
	}{frozen, f}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the plan: %w", err)
	}
	return append(text, '\n'), nil
}
