package whimbrel_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// Migrations that only make new things are answered together, so whatever may
// wait must be seen not to be one of them: when somebody is in its way, all before
// it have been told to be done, and it is the one that is told to wait.
func TestAMigrationSentAheadThatWaitsIsToldByItsOwnName(t *testing.T) {
	t.Parallel()
	for name, waits := range map[string]string{
		"a foreign key":            "CREATE TABLE w (id int REFERENCES busy)",
		"the columns of another":   "CREATE TABLE w (LIKE busy)",
		"a child":                  "CREATE TABLE w () INHERITS (busy)",
		"a partition":              "CREATE TABLE w PARTITION OF parted FOR VALUES IN (1)",
		"rows of another":          "CREATE TABLE w AS SELECT * FROM busy",
		"a view":                   "CREATE VIEW w AS SELECT * FROM busy",
		"a change":                 "ALTER TABLE busy ADD COLUMN w int",
		"an index":                 "CREATE INDEX w ON busy (id)",
		"rows":                     "CREATE TABLE w (); INSERT INTO busy VALUES (1)",
		"something new beside one": "CREATE TABLE w (); ALTER TABLE busy ADD COLUMN w int; CREATE TABLE x ()",
		"a trigger": "CREATE TRIGGER w BEFORE INSERT ON busy FOR EACH ROW EXECUTE FUNCTION " +
			"suppress_redundant_updates_trigger()",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec("CREATE TABLE busy (id int PRIMARY KEY); CREATE TABLE parted (a int) PARTITION BY LIST (a)")
			tx, err := b.connect().Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "LOCK TABLE busy, parted IN ACCESS EXCLUSIVE MODE")
			require.NoError(t, err)
			f := files{"25_w.sql": waits}
			for i := 10; i < 50; i++ {
				if i != 25 {
					f[fmt.Sprintf("%d_t.sql", i)] = fmt.Sprintf("CREATE TABLE t%d (id int)", i)
				}
			}
			done, doneThen, waiting := 0, -1, ""
			_, err = b.migrator(f, func(c *whimbrel.Config) {
				c.Listener = func(r whimbrel.Record) {
					switch e := r.Event.(type) {
					case whimbrel.MigrationFinished:
						done++
						require.Positive(t, e.Duration)
					case whimbrel.Retrying:
						if waiting == "" {
							doneThen, waiting = done, string(e.Migration.Version)
							_ = tx.Rollback(context.Background())
						}
					}
				}
			}).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "25", waiting)
			require.Equal(t, 15, doneThen)
			require.Equal(t, 40, done)
		})
	}
}
