package pipeline

import (
	"encoding/xml"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/git"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

func load(t *testing.T, files map[string]string) ([]migration.Migration, error) {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return migration.Load(migration.Source{FS: tree, Dir: ".", Label: "migrations"})
}

func TestMergedMigrationsMustStayAsTheyAre(t *testing.T) {
	t.Parallel()
	notes := judgeChanges([]git.Change{
		{Name: "20240101000000_users.sql", Line: 7}, {Name: "20240102000000_gone.sql", Deleted: true}, {Name: "README.md",
			Line: 1},
		{Name: "R__views.sql", Line: 1}, {Name: "20240103000000_squashed.sql", Deleted: true},
	}, "db", "main", map[string]bool{"20240103000000": true})
	var all []string
	for _, n := range notes {
		all = append(all, line(n))
	}
	require.Len(t, all, 2, all)
	require.True(t, strings.HasPrefix(all[0], "db/20240101000000_users.sql:7: error: 20240101000000_users.sql is merged "+
		"into main"), all[0])
	require.Equal(t, "merged-migration-deleted", notes[1].Check)
}

func TestANewMigrationComesBehindAllThatAreMerged(t *testing.T) {
	t.Parallel()
	migrations, err := load(t, map[string]string{"1_a.sql": "SELECT 1;", "3_c.sql": "SELECT 1;", "5_e.sql": "SELECT 1;"})
	require.NoError(t, err)
	config := whimbrel.Config{Project: whimbrel.Project{Migrations: migrations}}
	j := &judge{options: Options{Config: config, Base: "main"}, fresh: map[string]bool{"3_c.sql": true, "5_e.sql": true}}
	notes := j.late([]string{"1_a.sql", "4_d.sql", "notes.txt"})
	require.Len(t, notes, 1)
	require.Equal(t, "migrations/3_c.sql", notes[0].Path)
	require.Equal(t, present.LevelError, notes[0].Level)
	j.options.Config.OutOfOrder = whimbrel.ApplyOutOfOrder
	require.Equal(t, present.LevelWarning, j.late([]string{"4_d.sql"})[0].Level)
	require.Empty(t, j.late(nil))
}

func TestMalformedFilesEndItAndAllOfThemAreTold(t *testing.T) {
	t.Parallel()
	_, loading := load(t, map[string]string{"1_a.sql": "SELECT 'open", "2_b.sql": "-- +migrate Upp\nSELECT 1;"})
	require.Error(t, loading)
	report, err := Run(t.Context(), Options{Loading: loading, Base: "main"})
	require.NoError(t, err)
	require.Len(t, report.Steps, 2, "settings and files")
	require.Equal(t, Files, report.Failed())
	require.Len(t, report.Notes(), 2)
	require.Contains(t, report.Text(Style{}), "migrations/2_b.sql:1:")
	require.Contains(t, report.Markdown(), "not fine yet")
}

func TestWithoutABaseAndATargetTheFilesAreJudged(t *testing.T) {
	t.Parallel()
	migrations, err := load(t, map[string]string{"1_a.sql": "CREATE TABLE a (id int);", "2_b.sql": "DROP TABLE a;"})
	require.NoError(t, err)
	report, err := Run(t.Context(), Options{Config: whimbrel.Config{Project: whimbrel.Project{Migrations: migrations}}})
	require.NoError(t, err)
	require.Equal(t, Lint, report.Failed())
	require.Equal(t, []string{"migrations/1_a.sql", "migrations/2_b.sql"}, report.New)
	out, err := report.JUnit()
	require.NoError(t, err)
	var read struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Text string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(out, &read))
	suite := read.Suite
	require.Equal(t, []int{7, 1, 5}, []int{suite.Tests, suite.Failures, suite.Skipped})
	require.Contains(t, suite.Cases[4].Failure.Text, "migrations/2_b.sql:1:1: error:")
}

func TestAFolderWithoutAMigrationIsWarnedOf(t *testing.T) {
	t.Parallel()
	report, err := Run(t.Context(), Options{Labels: []string{"migrations"}})
	require.NoError(t, err)
	require.True(t, report.Passed())
	require.Len(t, report.Notes(), 1)
	require.True(t, strings.HasPrefix(line(report.Notes()[0]),
		"migrations: warning: no migration in this folder"))
}

func TestMarkdownIsNotSteeredByWhatFilesHold(t *testing.T) {
	t.Parallel()
	report := Report{Steps: []Step{{Name: Lint, Message: "a|b", Notes: []present.Note{
		{Level: present.LevelError, Title: "<img>", Message: "```\n# big\n````", Path: "a`b.sql", Line: 1},
	}}}}
	text := report.Markdown()
	require.Contains(t, text, "`a'b.sql:1` &lt;img&gt;")
	require.Contains(t, text, "`````\n```\n# big\n````\n`````\n")
	require.Contains(t, text, `a\|b`)
	for range 3000 {
		report.Steps[0].Notes = append(report.Steps[0].Notes, present.Note{Level: present.LevelError, Message: "more"})
	}
	require.Less(t, len(report.Markdown()), 65_536)
}
