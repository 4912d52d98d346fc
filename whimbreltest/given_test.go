//go:build unix

package whimbreltest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// given is a server as a service container would be: reached with a password.
// Some of it is somebody else's.
func given(t testing.TB) (s sharing, server *devdb.Server) {
	t.Helper()
	server, err := devdb.Start(t.Context(), devdb.Options{TCP: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	require.NoError(t, server.CreateDatabase(t.Context(), "whimbrel_of_others", ""))
	return sharing{url: server.TCPURL("postgres")}, server
}

// databases lists those of a server, without the test's own.
func databases(t testing.TB, server *devdb.Server) []string {
	t.Helper()
	conn, err := connect(t, server.URL("postgres"))
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(),
		`SELECT datname FROM pg_database WHERE datname !~ '^template[01]$' ORDER BY datname COLLATE "C"`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func TestAGivenServerIsUsedAndNothingElseOnItIsTouched(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	r := rehearse(t, func(t testing.TB) {
		db := s.database(t, notes(t), nil)
		change(t, db, "INSERT INTO notes VALUES ('a')")
		require.True(t, strings.HasPrefix(db.URL, strings.TrimSuffix(server.TCPURL(""), "/?sslmode=disable")),
			"the URL works by itself")
	})
	require.False(t, r.failed, r.text())
	left := databases(t, server)
	require.Len(t, left, 3)
	require.Equal(t, []string{"postgres", "whimbrel_of_others"}, left[:2])
	require.True(t, strings.HasPrefix(left[2], templatePrefix))
}

func TestTheLogOfAFailedTestHoldsNoPassword(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	parsed, err := url.Parse(server.TCPURL("x"))
	require.NoError(t, err)
	password, _ := parsed.User.Password()
	var real string
	r := rehearse(t, func(t testing.TB) {
		real = s.database(t, notes(t), nil).URL
		t.Errorf("as it happens")
	})
	require.NotContains(t, r.text(), password)
	require.Contains(t, r.text(), "psql '"+strings.Replace(real, ":"+password, "", 1)+"'")
	_, err = connect(t, real)
	require.NoError(t, err, "the database is kept")
}

func TestOfKeptDatabasesTheNewestTwentyStay(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	migrations := notes(t)
	var kept []string
	for range keptLimit + 2 {
		rehearse(t, func(t testing.TB) {
			db := s.database(t, migrations, nil)
			kept = append(kept, text(t, db, "SELECT current_database()"))
			t.Errorf("it's a failure")
		})
	}
	left := strings.Join(databases(t, server), " ")
	require.Equal(t, keptLimit, strings.Count(left, "whimbreltest_2"))
	require.Contains(t, left, kept[len(kept)-1])
}

func TestWhatIsOlderThanADayIsSwept(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	db := s.database(t, notes(t), nil)
	own := text(t, db, "SELECT current_database()")
	old := time.Now().Add(-lifetime - time.Minute).UTC().Format(timeLayout)
	young := time.Now().Add(-lifetime + time.Hour).UTC().Format(timeLayout)
	for _, name := range []string{testPrefix + old + "_a", testPrefix + young + "_a", testPrefix + old + "_used",
		templatePrefix + "old", unfinishedPrefix + "old", templatePrefix + "young", testPrefix + "by_hand", "x" +
			testPrefix + old + "_a"} {
		require.NoError(t, server.CreateDatabase(t.Context(), name, ""))
	}
	for name, made := range map[string]string{templatePrefix + "old": old, unfinishedPrefix + "old": old,
		templatePrefix + "young": young} {
		change(t, db, fmt.Sprintf("COMMENT ON DATABASE %s IS 'made %s'", name, made))
	}
	_, err := connect(t, server.URL(testPrefix+old+"_used"))
	require.NoError(t, err)
	conn, err := connect(t, server.URL("postgres"))
	require.NoError(t, err)
	require.NoError(t, sweep(t.Context(), conn, time.Now()))
	left := databases(t, server)
	for _, gone := range []string{testPrefix + old + "_a", templatePrefix + "old", unfinishedPrefix + "old"} {
		require.NotContains(t, left, gone)
	}
	for _, stays := range []string{testPrefix + young + "_a", testPrefix + old + "_used", templatePrefix + "young",
		testPrefix + "by_hand", "x" + testPrefix + old + "_a", own, "whimbrel_of_others"} {
		require.Contains(t, left, stays)
	}
}

func TestATemplateOfWhichTheMakerWasKilledIsMadeAnew(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	recipe, err := newRecipe(notes(t), nil)
	require.NoError(t, err)
	conn, err := connect(t, server.URL("postgres"))
	require.NoError(t, err)
	key, err := recipe.key(conn.PgConn().ParameterStatus("server_version"), "postgres")
	require.NoError(t, err)
	require.NoError(t, server.CreateDatabase(t.Context(), unfinishedPrefix+key, ""))
	require.Equal(t, "0", text(t, s.database(t, notes(t), nil), "SELECT count(*) FROM notes"))
	require.NotContains(t, databases(t, server), unfinishedPrefix+key)
	require.Contains(t, databases(t, server), templatePrefix+key)
}

func TestAGivenServerThatCannotBeUsedFailsTheTestWithTheWayOut(t *testing.T) {
	t.Parallel()
	s, server := given(t)
	conn, err := connect(t, s.url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE ROLE weak LOGIN PASSWORD 'secret'")
	require.NoError(t, err)
	as := func(user *url.Userinfo, host string) sharing {
		parsed, err := url.Parse(s.url)
		require.NoError(t, err)
		if user != nil {
			parsed.User = user
		}
		if host != "" {
			parsed.Host = host
		}
		return sharing{url: parsed.String()}
	}
	tests := map[string]struct {
		sharing sharing
		options []Option
		message []string
	}{
		"no right": {as(url.UserPassword("weak", "secret"), ""), nil, []string{"permission denied to create database",
			`ALTER ROLE "weak" CREATEDB`}},
		"wrong password": {as(url.UserPassword("weak", "secreter"), ""), nil, []string{"password authentication failed",
			urlVariable}},
		"nobody there": {as(nil, "127.0.0.1:1"), nil, []string{"connecting to the server that WHIMBRELTEST_URL names",
			"start it"}},
		"wrong version": {s, []Option{Major(99)}, []string{"the test wants PostgreSQL 99", server.Version().Version}},
		"no URL":        {sharing{url: "host=localhost password=secret"}, nil, []string{"postgres://user:password@host"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rehearse(t, func(t testing.TB) { test.sharing.database(t, notes(t), test.options) })
			require.True(t, r.failed)
			for _, part := range test.message {
				require.Contains(t, r.text(), part)
			}
			require.NotContains(t, r.text(), "secret")
		})
	}
}

func TestAWeakRoleNeedsNoMoreThanTheRightToCreateDatabases(t *testing.T) {
	t.Parallel()
	s, _ := given(t)
	conn, err := connect(t, s.url)
	require.NoError(t, err)
	_, err = conn.Exec(context.Background(), "CREATE ROLE app LOGIN CREATEDB PASSWORD 'secret'")
	require.NoError(t, err)
	parsed, err := url.Parse(s.url)
	require.NoError(t, err)
	parsed.User = url.UserPassword("app", "secret")
	for range 2 {
		r := rehearse(t, func(t testing.TB) {
			require.Equal(t, "app", text(t, sharing{url: parsed.String()}.database(t, notes(t), nil),
				"SELECT tableowner FROM pg_tables WHERE tablename = 'notes'"))
		})
		require.False(t, r.failed, r.text())
	}
}
