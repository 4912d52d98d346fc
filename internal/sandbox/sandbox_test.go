package sandbox

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestADatabaseIsFurnishedBeforeTheFirstMigration(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	var missing []devdb.MissingRole
	p := Program{
		Furnishing: devdb.Furnishing{
			Roles: []string{"furnished", `Odd "Name"`}, Extensions: []string{"pgcrypto"},
			Prepare: []devdb.File{{Path: "platform.sql", Text: "CREATE ROLE furnished;\nCREATE ROLE platform NOLOGIN;\n" +
				"CREATE SCHEMA auth AUTHORIZATION platform;\nCREATE TABLE auth.users (id int);\n" +
				"COPY auth.users FROM stdin;\n1\n2\n\\.\nSET search_path = nowhere;\n"}},
			Copied:   []string{"of_live", "of_migration"},
			Settings: []devdb.Setting{{Name: "search_path", Value: `"Odd", public`}, {Name: "nonsense", Value: "1"}},
			Missing:  func(m devdb.MissingRole) { missing = append(missing, m) },
		},
		Migrations: load(t, map[string]string{
			"1_a.sql": "CREATE ROLE of_migration; GRANT SELECT ON t TO misspelt, of_live, furnished, platform;"}),
	}
	created, err := Furnish(t.Context(), config, p)
	require.NoError(t, err)
	require.Equal(t, []string{"furnished", `Odd "Name"`, "of_live", "misspelt"}, created)
	require.Equal(t, []devdb.MissingRole{{Role: "misspelt", Path: "migrations/1_a.sql", Line: 1, Column: 48}}, missing)
	require.Equal(t, int64(2), one[int64](t, conn, "SELECT count(*) FROM auth.users"))
	require.True(t, one[bool](t, conn, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pgcrypto')"))
	require.Equal(t, int64(5), one[int64](t, conn,
		"SELECT count(*) FROM pg_roles WHERE NOT rolcanlogin AND rolname = ANY ($1)", append(created, "platform")))
	require.False(t, one[bool](t, conn, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'of_migration')"))

	another, _ := fresh(t)
	created, err = Furnish(t.Context(), another, p)
	require.NoError(t, err, "another database of the same server")
	require.Empty(t, created)
}

func TestSettingsHoldForEverySessionOfTheDatabase(t *testing.T) {
	t.Parallel()
	config, _ := fresh(t)
	_, err := Furnish(t.Context(), config, Program{Furnishing: devdb.Furnishing{
		Settings: []devdb.Setting{{Name: "search_path", Value: `app, "Odd", public`},
			{Name: "TimeZone", Value: "Asia/Tokyo"}},
		Prepare: []devdb.File{{Text: "CREATE SCHEMA app; CREATE TABLE t (i int);"}},
	}})
	require.NoError(t, err)
	_, conn := connected(t, config)
	require.Equal(t, `app, "Odd", public`, one[string](t, conn, "SHOW search_path"))
	require.Equal(t, "Asia/Tokyo", one[string](t, conn, "SHOW timezone"))
	require.Equal(t, "app.t", one[string](t, conn, "SELECT 'app.t'::regclass::oid::regclass::text FROM "+
		"(SELECT set_config('search_path', '', false)) AS nothing"))
}

func TestWhatCannotBeFurnishedIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		furnishing devdb.Furnishing
		message    string
		remedy     string
	}{
		"a statement that the server refuses": {
			devdb.Furnishing{Prepare: []devdb.File{{Path: "db/p.sql",
				Text: "SELECT 1;\nSELECT 'ü',\n  nothing FROM pg_class;"}}},
			`db/p.sql:3:3: the throw-away database cannot be prepared: column "nothing" does not exist (SQLSTATE 42703)`,
			"correct the file"},
		"one without a place": {
			devdb.Furnishing{Prepare: []devdb.File{{Path: "p.sql", Text: "SELECT 1;\n  DROP TABLE nothing;"}}},
			`p.sql:2:3: the throw-away database cannot be prepared: table "nothing" does not exist (SQLSTATE 42P01)`,
			"correct the file"},
		"a file that is malformed": {
			devdb.Furnishing{Prepare: []devdb.File{{Path: "p.sql", Text: "SELECT 'a"}}},
			`p.sql:1:8: `, ""},
		"an extension that is nowhere": {devdb.Furnishing{Extensions: []string{"no_such_thing"}},
			"sandbox.extensions: extension no_such_thing cannot be created: ", "install it"},
		"a role that cannot be": {devdb.Furnishing{Roles: []string{"pg_mine"}},
			"sandbox.roles: role pg_mine cannot be created: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _ := fresh(t)
			_, err := Furnish(t.Context(), config, Program{Furnishing: test.furnishing})
			var own *whimbrel.Error
			require.ErrorAs(t, err, &own)
			require.Equal(t, whimbrel.CodeConfiguration, own.Code)
			require.Contains(t, own.Error(), test.message)
			require.Contains(t, own.Remedy, test.remedy)
			require.NotEmpty(t, own.Remedy)
		})
	}
}

func TestAStrangersServerGetsNoRoleThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	created, err := Furnish(t.Context(), config, Program{Guest: true,
		Migrations: load(t, map[string]string{"1_a.sql": "GRANT SELECT ON t TO of_nobody;"})})
	require.NoError(t, err)
	require.Empty(t, created)
	require.False(t, one[bool](t, conn, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'of_nobody')"))
}

func TestWhoIsNoSuperuserCanGiveObjectsToWhatItCreates(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	_, err := conn.Exec(t.Context(), "CREATE ROLE creator LOGIN CREATEROLE PASSWORD 'x'; ALTER DATABASE "+
		config.Database+" OWNER TO creator; CREATE SCHEMA s AUTHORIZATION creator")
	require.NoError(t, err)
	config.User, config.Password = "creator", "x"
	_, err = Furnish(t.Context(), config, Program{Migrations: load(t, map[string]string{
		"1_a.sql": "CREATE TABLE s.t (i int); ALTER TABLE s.t OWNER TO keeper_of_things;"})})
	require.NoError(t, err)
	_, ours := connected(t, config)
	_, err = ours.Exec(t.Context(), "CREATE TABLE s.t (i int)")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "GRANT CREATE ON SCHEMA s TO keeper_of_things")
	require.NoError(t, err)
	_, err = ours.Exec(t.Context(), "ALTER TABLE s.t OWNER TO keeper_of_things")
	require.NoError(t, err)
}

func TestALiveDatabaseIsCopiedWithoutSecrets(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	_, err := conn.Exec(t.Context(), `CREATE SCHEMA app; CREATE ROLE live_role LOGIN PASSWORD 'sesame';
CREATE ROLE live_user SUPERUSER LOGIN PASSWORD 'sesame';
ALTER DATABASE `+config.Database+` SET search_path = "$user", app, public;
ALTER DATABASE `+config.Database+` SET app.secret = 'sesame';
ALTER DATABASE `+config.Database+` SET statement_timeout = '1s';
ALTER ROLE live_user SET timezone = 'Asia/Tokyo';
ALTER ROLE live_role SET datestyle = 'German'`)
	require.NoError(t, err)
	config.User, config.Password = "live_user", "sesame"
	_, live := connected(t, config)
	f, err := Like(t.Context(), live, devdb.Furnishing{Roles: []string{"kept"}})
	require.NoError(t, err)
	require.Equal(t, []string{"kept"}, f.Roles)
	require.Subset(t, f.Copied, []string{"live_role", "live_user"})
	require.NotContains(t, f.Copied, "pg_monitor")
	require.Equal(t, []devdb.Setting{{Name: "TimeZone", Value: "Asia/Tokyo"},
		{Name: "search_path", Value: "live_user, app, public"}}, f.Settings)
}

func TestAnInterruptedFurnishingIsNoFaultOfTheFile(t *testing.T) {
	t.Parallel()
	config, _ := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Furnish(ctx, config, Program{})
	require.ErrorIs(t, err, context.Canceled)
}
