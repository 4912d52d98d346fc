package migration

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestSquashesNamesTheVersionsForWhichAFileStands(t *testing.T) {
	t.Parallel()
	m, err := Parse("0003_baseline.sql", "-- +migrate Squashes 1 2\n-- +migrate Squashes 3\nSELECT 1;")
	require.NoError(t, err)
	require.Equal(t, []Version{"1", "2", "3"}, m.Squashes)
	for text, want := range map[string]string{
		"-- +migrate Squashes 1 x\nSELECT 1;":   `bad_annotation: 3_b.sql:1:24: invalid version "x"`,
		"-- +migrate Squashes 1 3 01\nSELECT 1": "bad_annotation: 3_b.sql:1:26: version 01 is named twice",
		"-- +migrate Squashes 3 4\nSELECT 1":    "bad_annotation: 3_b.sql:1:24: version 4 is newer than this file",
		"-- +migrate Squashes 1 2\nSELECT 1": "misplaced_annotation: 3_b.sql:1:1: Squashes must name the file's own " +
			"version too",
	} {
		_, err := Parse("3_b.sql", text)
		requireProblems(t, err, want)
	}
}

func TestLoadRefusesFilesBesideTheOneThatStandsForThem(t *testing.T) {
	t.Parallel()
	files := folder("1_a.sql", "2_b.sql", "4_d.sql")
	files["3_baseline.sql"] = &fstest.MapFile{Data: []byte("-- +migrate Squashes 1 3\nSELECT 1;")}
	_, err := Load(Source{FS: files})
	requireProblems(t, err, "duplicate_version: 1_a.sql: 3_baseline.sql replaces it")
}
