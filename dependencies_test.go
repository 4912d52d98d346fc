package whimbrel_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that embeds the engine links the driver and what the driver needs,
// and nothing else: no JavaScript, no parser, no telemetry, no command line.
func TestTheEngineDependsOnTheDriverAlone(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		"{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	allowed := []string{"github.com/whimbrel-db/whimbrel", "github.com/jackc/", "golang.org/x/text/", "golang.org/x/sync/"}
	ours := []string{
		"github.com/whimbrel-db/whimbrel", "github.com/whimbrel-db/whimbrel/migration",
		"github.com/whimbrel-db/whimbrel/internal/dial", "github.com/whimbrel-db/whimbrel/internal/digest",
		"github.com/whimbrel-db/whimbrel/internal/foreign", "github.com/whimbrel-db/whimbrel/internal/pgsql",
		"github.com/whimbrel-db/whimbrel/internal/plaintext", "github.com/whimbrel-db/whimbrel/internal/redact",
		"github.com/whimbrel-db/whimbrel/internal/millis", "github.com/whimbrel-db/whimbrel/internal/pause",
		"github.com/whimbrel-db/whimbrel/internal/stall",
	}
	for _, path := range strings.Fields(string(out)) {
		require.True(t, slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(path, prefix) }),
			path)
		if strings.HasPrefix(path, ours[0]) {
			require.Contains(t, ours, path)
		}
	}
	require.Contains(t, string(out), "github.com/jackc/pgx/v5\n")
}
