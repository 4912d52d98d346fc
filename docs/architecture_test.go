package docs_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/whimbrel-db/whimbrel"

// The map of the architecture shows every package, once, and no package imports one
// of its own line or of a line above it.
func TestImportsGoDownwardsAsTheArchitectureShowsThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	floors := floorsOf(t, string(page))
	var names []string
	for _, p := range listed(t) {
		floor, shown := floors[p.name]
		require.True(t, shown, "architecture.md shows no package %s", p.name)
		for _, imported := range p.imports {
			require.Greater(t, floors[imported], floor, "%s imports %s, which is not below it", p.name, imported)
		}
		names = append(names, p.name)
	}
	require.ElementsMatch(t, names, slices.Collect(maps.Keys(floors)), "the map shows the packages that exist")
}

// floorsOf gives the line of each package on the map, counted from the top.
func floorsOf(t *testing.T, page string) map[string]int {
	_, block, found := strings.Cut(page, "```floors\n")
	require.True(t, found, "architecture.md has a block of floors")
	block, _, _ = strings.Cut(block, "```")
	floors := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(block), "\n") {
		rooms, _, _ := strings.Cut(line, "   ") // what follows says what they are
		for room := range strings.SplitSeq(rooms, "·") {
			room = strings.TrimSpace(room)
			require.NotContains(t, floors, room, "a package is on the map once")
			floors[room] = i
		}
	}
	return floors
}

type listedPackage struct {
	name    string
	imports []string
}

// listed gives the packages of the module and which of them each imports.
func listed(t *testing.T) (all []listedPackage) {
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	text, err := command.Output()
	require.NoError(t, err)
	own := regexp.MustCompile(`^` + regexp.QuoteMeta(module) + `(/|$)`)
	within := func(imported string) string { return path.Clean(own.ReplaceAllString(imported, "./")) }
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	for decoder.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		require.NoError(t, decoder.Decode(&p))
		room := listedPackage{name: within(p.ImportPath)}
		for _, imported := range p.Imports {
			if own.MatchString(imported) {
				room.imports = append(room.imports, within(imported))
			}
		}
		all = append(all, room)
	}
	require.NotEmpty(t, all)
	return all
}
