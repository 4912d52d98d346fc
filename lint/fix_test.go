package lint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// fix rewrites one migration that stands on ExampleSchema.
func fix(t *testing.T, text string) lint.Fixed {
	t.Helper()
	linter, err := lint.New(lint.Options{Judge: func(m migration.Migration) bool { return m.Version == "002" }})
	require.NoError(t, err)
	fixed, err := linter.Fix(parse(t, lint.ExampleSchema, text))
	require.NoError(t, err)
	require.Len(t, fixed, 1)
	return fixed[0]
}

func TestMechanicalRewritesLeaveNothingToFind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"an index is built concurrently": {
			"-- why\nCREATE INDEX i ON users (country); -- here\n", "-- why\nCREATE INDEX CONCURRENTLY i ON users (country); -- here\n",
		},
		"an index is dropped concurrently": {"DROP INDEX orders_status_idx;\n", "DROP INDEX CONCURRENTLY orders_status_idx;\n"},
		"a check is validated afterwards": {
			"-- +migrate Up\nALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17);\n-- +migrate Down\nALTER TABLE users DROP CONSTRAINT adult;\n",
			"-- +migrate Up notransaction\nALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17) NOT VALID;\nALTER TABLE users VALIDATE CONSTRAINT adult;\n-- +migrate Down\nALTER TABLE users DROP CONSTRAINT adult;\n",
		},
		"NOT NULL comes in steps": {
			"ALTER TABLE users ALTER COLUMN age SET NOT NULL;\n",
			"-- +migrate Up notransaction\nALTER TABLE users ADD CONSTRAINT users_age_given CHECK (age IS NOT NULL) NOT VALID;\nALTER TABLE users VALIDATE CONSTRAINT users_age_given;\nALTER TABLE users ALTER COLUMN age SET NOT NULL;\nALTER TABLE users DROP CONSTRAINT users_age_given;\n",
		},
		"a unique constraint gets its index first": {
			"ALTER TABLE users ADD CONSTRAINT one UNIQUE (email);\n",
			"CREATE UNIQUE INDEX CONCURRENTLY one ON users (email);\nALTER TABLE users ADD CONSTRAINT one UNIQUE USING INDEX one;\n",
		},
		"a volatile default is filled in batches": {
			"ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();\n",
			"ALTER TABLE users ADD COLUMN token uuid;\nALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();\n-- +migrate Batch users by id\nUPDATE users SET token = DEFAULT WHERE token IS NULL AND id > :from AND id <= :to;\n",
		},
		"an UPDATE runs in batches": {
			"UPDATE users SET age = 1 WHERE age IS NULL OR age < 0;\n",
			"-- +migrate Batch users by id\nUPDATE users SET age = 1 WHERE id > :from AND id <= :to AND ( age IS NULL OR age < 0);\n",
		},
		"two statements, one after the other": {
			"CREATE INDEX i ON users (country);\nCREATE INDEX k ON users (age);\n",
			"CREATE INDEX CONCURRENTLY i ON users (country);\nCREATE INDEX CONCURRENTLY k ON users (age);\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fix(t, c.before)
			require.Equal(t, c.after, fixed.After)
			require.Empty(t, fixed.Left)
			require.Contains(t, fixed.Diff(), "+++ b/migrations/002_example.sql")
		})
	}
}

func TestWhatIsNotMechanicalIsLeft(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a dropped column":                         "ALTER TABLE users DROP COLUMN age;",
		"several commands at once":                 "ALTER TABLE users ADD COLUMN a text, ADD CONSTRAINT adult CHECK (age > 17);",
		"what shares a setting with its neighbour": "SET LOCAL search_path = public;\nALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17);",
		"a statement within a block":               "DO $$ BEGIN CREATE INDEX i ON users (country); END $$;",
		"what the file allows":                     "-- +migrate Allow create-index-not-concurrent the table is small\nCREATE INDEX i ON users (country);",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fix(t, text)
			require.False(t, fixed.Changed(), fixed.After)
			require.Empty(t, fixed.Diff())
		})
	}
}
