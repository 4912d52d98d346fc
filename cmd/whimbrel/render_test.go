package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// golden compares text with testdata/golden/name, or rewrites that with -update.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// now is the present of the renderings.
var now = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

var users = whimbrel.Ref{Version: "20240115120000", Name: "add_users", Path: "migrations/20240115120000_add_users.sql",
	Direction: whimbrel.Up}

func aStatus() whimbrel.Status {
	status := whimbrel.Status{
		Database: "app@db:5432/shop", Server: "18.1", Table: "public.schema_migrations", Initialised: true,
		Holder: &whimbrel.Holder{By: "eve@far pid 7", Since: now.Add(-time.Minute), State: "alive"},
	}
	for i, name := range []string{"first", "second", "third", "fourth", "fifth", "sixth",
		"a_very_long_name_of_a_migration"} {
		status.Applied = append(status.Applied, whimbrel.Applied{
			Version: migration.Version("2024010100000" + string(rune('0'+i))), Name: name,
			ExecutedAt: now.Add(-time.Duration(7-i) * 13 * time.Hour),
			Duration:   time.Duration(i*i*i) * 17 * time.Millisecond,
		})
	}
	status.Applied[0].Changed, status.Applied[0].RollingBack, status.Applied[6].Missing = true, true, true
	status.Pending = []whimbrel.Pending{
		{Ref: users, Steps: 5, Done: 2, OutOfOrder: true}, {Ref: whimbrel.Ref{Version: "20990101000000", Name: "later"},
			Steps: 1},
	}
	return status
}

func TestStatusReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "status.txt", renderStatus(present.Style{}, aStatus(), now, false))
	golden(t, "status_all.txt", renderStatus(present.Style{}, aStatus(), now, true))
	golden(t, "status_empty.txt", renderStatus(present.Style{}, whimbrel.Status{Database: "app@db:5432/shop",
		Server: "18.1",
		Table:  "public.schema_migrations"}, now, false))
}

func TestColoursChangeNothingButColours(t *testing.T) {
	t.Parallel()
	plain := renderStatus(present.Style{}, aStatus(), now, true)
	coloured := renderStatus(present.Style{Colour: true}, aStatus(), now, true)
	require.NotContains(t, plain, "\x1b")
	require.Contains(t, coloured, "\x1b[")
	require.Equal(t, plain, trimLines(stripped(coloured)))
}

func TestVerificationReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "verify.txt", renderVerification(present.Style{}, "✓", whimbrel.Verification{
		Database: "app@db:5432/shop", Applied: 3,
		Differences: []whimbrel.Difference{
			{Kind: "checksum_changed", Version: users.Version, Name: users.Name,
				Message: "the file was changed after it was applied", Remedy: "put it back,\nor accept it"},
			{Kind: "missing_file", Version: "2", Message: "it is applied, but has no file"},
		},
	})+"\n"+renderVerification(present.Style{}, "✓", whimbrel.Verification{Database: "app@db:5432/shop", Applied: 1}))
}

func TestHistoryReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "history.txt", renderHistory(present.Style{}, []whimbrel.LogEntry{
		{At: now.Add(-50 * time.Hour), Action: "up", Outcome: "done", Version: users.Version, Name: users.Name,
			Duration: 1500 * time.Millisecond, By: "ann@laptop pid 3"},
		{At: now.Add(-time.Second), Action: "down", Outcome: "failed", Version: "2", Name: "x", By: "bob@ci pid 4",
			Error: "relation \"x\"\n does not exist"},
	}, now)+"\n"+renderHistory(present.Style{}, nil, now))
}

func TestHolderReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "lock.txt", renderHolder(present.Style{}, nil, now)+"\n"+renderHolder(present.Style{}, &whimbrel.Holder{
		By: "eve@far pid 7", Host: "far", User: "eve", Tool: "1.2.3", Token: 12, Since: now.Add(-90 * time.Second), PID: 4711,
		Activity: "CREATE INDEX\n  CONCURRENTLY x ON y (z)", State: "alive",
	}, now)+"\n"+renderHolder(present.Style{}, &whimbrel.Holder{By: "a home-grown runner", State: "expired"}, now))
}

func TestDevStatusReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "dev_status.txt", renderDevStatus(present.Style{}, devdb.Status{}, now)+"\n"+renderDevStatus(present.Style{},
		devdb.Status{
			Running: true, URL: "postgres:///app?host=/x", Version: "18.1", PID: 42, Since: now.Add(-3 * time.Hour),
			DataDir: "/p/.whimbrel/18", LogFile: "/p/log",
			Note: "elsewhere", Databases: []devdb.Database{{Name: "app", Bytes: 7_654_321}},
		}, now))
}

func TestFailuresReadWell(t *testing.T) {
	t.Parallel()
	statement := &whimbrel.Error{
		Code: whimbrel.CodeStatement, Message: `column "citty" does not exist`, SQLState: "42703",
		Path: "migrations/20240301090000_split_addresses.sql", Line: 148, Column: 12,
		Statement: "SELECT id, citty FROM users\n           ^",
		Hint:      `Perhaps you meant to reference the column "users.city".`, Detail: "two\nlines",
		Remedy: "correct the file",
	}
	split := whimbrel.Ref{Version: "20240301090000", Name: "split_addresses", Direction: whimbrel.Up}
	back := split
	back.Direction = whimbrel.Down
	var b strings.Builder
	b.WriteString(renderFailure(present.Style{}, statement, &failing{migration: split,
		after: 41 * time.Millisecond}) + "\n")
	b.WriteString(renderFailure(present.Style{}, statement, &failing{migration: split, after: 3 * time.Minute, steps: 5,
		done: 2}) + "\n")
	b.WriteString(renderFailure(present.Style{}, statement, &failing{migration: back, after: time.Second,
		steps: 5}) + "\n")
	b.WriteString(renderFailure(present.Style{}, statement, nil) + "\n")
	b.WriteString(renderFailure(present.Style{}, &whimbrel.Error{Message: "no place", Statement: "SELECT 1"}, nil))
	interrupted := &whimbrel.Error{Code: whimbrel.CodeInterrupted, Message: "canceling statement due to user request",
		SQLState: "57014"}
	b.WriteString("\n" + renderFailure(present.Style{}, interrupted, &failing{migration: split, after: time.Second,
		steps: 1}))
	golden(t, "failure.txt", b.String())
}

// TestHelp keeps what people read first.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"up"}, {"down"}, {"status"}, {"plan"}, {"verify"}, {"dev"}, {"lock", "release"}} {
		var out bytes.Buffer
		env := environment{stdin: strings.NewReader(""), stdout: &out, stderr: &out, lookup: variables{}.lookup,
			folder: t.TempDir()}
		require.Equal(t, exitDone, run(t.Context(), append(args, "--help"), env))
		name := "whimbrel"
		if len(args) > 0 {
			name = strings.Join(args, "_")
		}
		golden(t, filepath.Join("help", name+".txt"), out.String())
	}
}
