package migration

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func hookFiles(texts map[string]string) Source {
	files := fstest.MapFS{"hooks/README.md": &fstest.MapFile{}}
	for name, text := range texts {
		files["hooks/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Source{FS: files, Dir: "hooks", Label: "hooks"}
}

func TestHooksAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	hooks, err := LoadHooks(hookFiles(map[string]string{
		"before_run.sql": "SELECT 1;", "after_each.sql": "-- +migrate Set role = app\n-- +migrate Variables A\n" +
			"SELECT ${'A'};", "_draft.sql": "what?", "notes.txt": "",
	}))
	require.NoError(t, err)
	require.Equal(t, "before_run", hooks.BeforeRun.Name)
	require.Equal(t, "hooks/after_each.sql", hooks.AfterEach.Path)
	require.Nil(t, hooks.AfterRun)
	require.Nil(t, hooks.BeforeEach)
	require.Len(t, hooks.All(), 2)
	require.Equal(t, "role", hooks.AfterEach.Settings[0].Name)
	hooks, err = LoadHooks(hookFiles(nil))
	require.NoError(t, err)
	require.Empty(t, hooks.All())
}

func TestHooksThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	_, err := LoadHooks(hookFiles(map[string]string{
		"afterrun.sql":    "SELECT 1;",
		"before_each.sql": "-- +migrate Tags a\n-- +migrate Up\nVACUUM;\n-- +migrate Down\nSELECT 1;",
		"before_run.sql":  "",
		"after_run.sql":   "COMMIT;",
		"after_each.sql":  "-- +migrate Batch t by id\nDELETE FROM t WHERE id > :from AND id <= :to;",
	}))
	requireProblems(t, err,
		"hook: hooks/after_each.sql:2:1: a hook is part of a transaction, and this would be outside of it: DELETE FROM t "+
			"WHERE id > :from AND id <= :to",
		"transaction_control: hooks/after_run.sql:1:1: COMMIT ends a transaction block that nothing opens",
		"bad_name: hooks/afterrun.sql: is not the name of a hook",
		"hook: hooks/before_each.sql:1:1: Tags is for migrations",
		"hook: hooks/before_each.sql:2:1: a hook has no directions",
		"hook: hooks/before_each.sql:4:1: a hook has no directions",
		"hook: hooks/before_each.sql:3:1: a hook is part of a transaction, and this would be outside of it: VACUUM",
		"empty: hooks/before_run.sql: the file is empty",
	)
	require.Equal(t, "did you mean after_run.sql?", Problems(err)[2].Remedy)
	_, err = LoadHooks(Source{FS: fstest.MapFS{}, Dir: "no", Label: "no"})
	requireProblems(t, err, "no_folder: no: no such folder")
}
