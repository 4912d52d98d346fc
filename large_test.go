package whimbrel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// largeFile makes a table and fills it by so many statements, with another one behind
// them: several megabytes, which go to the server in many messages.
func largeFile(rows int, behind string) string {
	var text strings.Builder
	text.WriteString("CREATE TABLE large (id int PRIMARY KEY, note text);\n")
	for i := range rows {
		fmt.Fprintf(&text, "INSERT INTO large VALUES (%d, 'the note of row %[1]d; it''s long enough to take some place');\n",
			i+1)
	}
	text.WriteString(behind)
	return text.String()
}

func TestALargeFileIsOneTransactionInManyMessages(t *testing.T) {
	const rows = 20_000
	for name, between := range map[string]string{
		"nothing else":  "",
		"a stop before": "COPY large FROM stdin;\n0\tfirst\n\\.\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			before := b.schema()
			_, err := b.migrator(files{"1_large.sql": largeFile(rows,
				between+"SELECT 1;\nINSERT INTO large VALUES (1);\n")}).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, rows+3+strings.Count(between, "\n"), e.Line, "%v", e)
			require.Equal(t, "23505", e.SQLState)
			require.Equal(t, before, b.schema(), "nothing of it stays")
			require.Empty(t, b.applied())

			result, err := b.migrator(files{"1_large.sql": largeFile(rows, between)}).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			copied := strings.Count(between, "COPY")
			require.EqualValues(t, rows+copied, result.Done[0].Rows)
			require.Equal(t, fmt.Sprint(rows+copied), b.text("SELECT count(*) FROM large"))
			require.Equal(t, "1", b.text("SELECT count(DISTINCT xmin::text) FROM large"))
		})
	}
}

func TestALargeFileBesideSmallOnesIsNotSentAhead(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.sql": "CREATE TABLE a ();", "2_large.sql": largeFile(10_000, ""),
		"3_b.sql": "ALTER TABLE a ADD id int;"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "10000", b.text("SELECT count(*) FROM large"))
	require.Equal(t, "1 2 3", b.applied())
}
