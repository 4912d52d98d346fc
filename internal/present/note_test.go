package present_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

func TestGitHubCommandsAreOneLineEachHoweverOddTheText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "::error file=a/b.sql,line=1,endLine=2,col=3,title=100%25%3A a%2Cb::50%25%0Anext\n",
		present.GitHub([]present.Note{
			{Level: present.LevelError, Title: "100%: a,b", Message: "50%\nnext", Path: "a/b.sql", Line: 1, EndLine: 2,
				Column: 3},
		}))
	require.Equal(t, "::notice file=b.sql::whole file\n::warning ::nowhere\n", present.GitHub([]present.Note{
		{Level: present.LevelInfo, Message: "whole file", Path: "b.sql"}, {Level: present.LevelWarning, Message: "nowhere"},
	}))
}

func FuzzGitHub(f *testing.F) {
	f.Add("a::b\r\n::error::x", "%0A")
	f.Fuzz(func(t *testing.T, message, title string) {
		text := present.GitHub([]present.Note{{Level: present.LevelError, Title: title, Message: message, Path: title,
			Line: 1}})
		require.Equal(t, 1, strings.Count(text, "\n"))
		require.NotContains(t, strings.TrimSuffix(text, "\n"), "\r")
	})
}

func TestGitLabKnowsANoteAgainWhereverItMoves(t *testing.T) {
	t.Parallel()
	read := func(line int) (fingerprints []string) {
		out, err := present.GitLab([]present.Note{
			{Level: present.LevelError, Check: "c", Message: "m", Path: "a.sql", Line: line, Key: "k"},
			{Level: present.LevelInfo, Check: "c", Message: "m", Path: "a.sql", Key: "k"},
			{Level: present.LevelWarning, Check: "c", Message: "m", Path: "b.sql", Line: line, Key: "k"},
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
	none, err := present.GitLab(nil)
	require.NoError(t, err)
	require.Equal(t, "[]", string(none))
}
