package whimbrel_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"context"

	"github.com/whimbrel-db/whimbrel"
)

// tagged are the changes of two releases: what is added before the program is
// deployed, and what is taken away after it.
var tagged = files{
	"1_a.sql": "-- +migrate Tags expand\nCREATE TABLE a (id int);",
	"2_b.sql": "-- +migrate Tags contract\nCREATE TABLE b (id int);",
	"3_c.sql": "-- +migrate Tags expand slow\nCREATE TABLE c (id int);",
	"4_d.sql": "CREATE TABLE d (id int);",
}

func withTags(tags ...string) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.Tags = tags }
}

func TestUpWithATagRunsWhatHasItAndLeavesTheRestPending(t *testing.T) {
	b := setup(t)
	result, err := b.migrator(tagged, withTags("expand")).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Len(t, result.Done, 2)
	require.Equal(t, "1 3", b.applied())

	status, err := b.migrator(tagged).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 2)
	require.False(t, status.Pending[0].OutOfOrder, "it was left behind on purpose")
	require.Equal(t, []string{"contract"}, status.Pending[0].Tags)
	status, err = b.migrator(tagged, withTags("slow", "contract")).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 1)

	_, err = b.migrator(tagged).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "what a tag left behind is not out of order")
	require.Equal(t, "1 3 2 4", b.applied())
}

func TestWhatComesLateAmongTagsIsStillOutOfOrder(t *testing.T) {
	for name, test := range map[string]struct {
		late string
		tags []string
		want whimbrel.Code
	}{
		"no tags, behind one without tags": {late: "SELECT 1;", want: whimbrel.CodeOutOfOrder},
		"the tags of a newer one": {late: "-- +migrate Tags slow expand\nSELECT 1;", tags: []string{"expand"},
			want: whimbrel.CodeOutOfOrder},
		"tags, behind one without": {late: "-- +migrate Tags seed\nSELECT 1;", tags: []string{"seed"},
			want: whimbrel.CodeOutOfOrder},
		"not chosen, and thus nobody's business": {late: "-- +migrate Tags contract seed\nSELECT 1;",
			tags: []string{"expand"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(tagged).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			with := files{"0_late.sql": test.late}
			for name, text := range tagged {
				with[name] = text
			}
			_, err = b.migrator(with, withTags(test.tags...)).Up(t.Context(), whimbrel.UpOptions{})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			e := fails(t, err, test.want)
			require.Equal(t, "migrations/0_late.sql", e.Path)
			require.Contains(t, e.Message, "older than 4")
		})
	}
}

func TestAMissingTagIsASlip(t *testing.T) {
	t.Parallel()
	_, err := whimbrel.New(whimbrel.Config{
		Target:  whimbrel.Target{DatabaseURL: "host=nowhere"},
		Project: whimbrel.Project{Migrations: tagged.load(t), Tags: []string{"exapnd"}},
	})
	e := fails(t, err, whimbrel.CodeConfiguration)
	require.Equal(t, "did you mean expand?", e.Remedy)
	_, err = whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: "host=nowhere"},
		Project: whimbrel.Project{Tags: []string{"x"}}})
	require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Remedy, "-- +migrate Tags x")
}

func TestFunctionsHaveTagsToo(t *testing.T) {
	b := setup(t)
	seed := whimbrel.Function{Version: "5", Name: "seed", Tags: []string{"seed"}, Up: func(ctx context.Context,
		tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE seeded (id int)")
		return err
	}}
	_, err := b.migrator(tagged, withTags("seed"),
		func(c *whimbrel.Config) { c.Functions = []whimbrel.Function{seed} }).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "5", b.applied())
	seed.Tags = []string{"a b"}
	_, err = whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: "host=nowhere"},
		Project: whimbrel.Project{Functions: []whimbrel.Function{seed}}})
	require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Message, "a b")
}
