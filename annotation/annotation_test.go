package annotation_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/annotation"
)

func TestGitHubCommandsAreOneLineEachHoweverOddTheText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "::error file=a/b.sql,line=1,endLine=2,col=3,title=100%25%3A a%2Cb::50%25%0Anext\n",
		annotation.GitHub([]annotation.Note{
			{Level: annotation.Error, Title: "100%: a,b", Message: "50%\nnext", Path: "a/b.sql", Line: 1, EndLine: 2, Column: 3},
		}))
	require.Equal(t, "::notice file=b.sql::whole file\n::warning ::nowhere\n", annotation.GitHub([]annotation.Note{
		{Level: annotation.Info, Message: "whole file", Path: "b.sql"}, {Level: annotation.Warning, Message: "nowhere"},
	}))
}

func FuzzGitHub(f *testing.F) {
	f.Add("a::b\r\n::error::x", "%0A")
	f.Fuzz(func(t *testing.T, message, title string) {
		text := annotation.GitHub([]annotation.Note{{Level: annotation.Error, Title: title, Message: message, Path: title,
			Line: 1}})
		require.Equal(t, 1, strings.Count(text, "\n"))
		require.NotContains(t, strings.TrimSuffix(text, "\n"), "\r")
	})
}

func TestGitLabKnowsANoteAgainWhereverItMoves(t *testing.T) {
	t.Parallel()
	read := func(line int) (fingerprints []string) {
		out, err := annotation.GitLab([]annotation.Note{
			{Level: annotation.Error, Check: "c", Message: "m", Path: "a.sql", Line: line, Key: "k"},
			{Level: annotation.Info, Check: "c", Message: "m", Path: "a.sql", Key: "k"},
			{Level: annotation.Warning, Check: "c", Message: "m", Path: "b.sql", Line: line, Key: "k"},
		})
		require.NoError(t, err)
		var issues []struct {
			Fingerprint, Severity string
			Location              struct{ Lines struct{ Begin int } }
		}
		require.NoError(t, json.Unmarshal(out, &issues))
		severities := ""
		for _, i := range issues {
			fingerprints = append(fingerprints, i.Fingerprint)
			severities += i.Severity + " "
			require.Positive(t, i.Location.Lines.Begin)
		}
		require.Equal(t, "critical info minor ", severities)
		return fingerprints
	}
	first := read(1)
	require.Equal(t, first, read(7))
	require.NotEqual(t, first[0], first[1])
	require.NotEqual(t, first[0], first[2])
	none, err := annotation.GitLab(nil)
	require.NoError(t, err)
	require.Equal(t, "[]", string(none))
}
