package whimbrel_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

var reversible = files{"1_a.sql": "CREATE TABLE a ();\n-- +migrate Down\nDROP TABLE a;\n",
	"2_b.sql": "CREATE TABLE b ();\n-- +migrate Down\nDROP TABLE b;\n"}

// backwards are all ways of the library to take something back.
var backwards = map[string]func(context.Context, *whimbrel.Migrator) error{
	"down": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{})
		return err
	},
	"forced down": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{ForceNoDown: true})
		return err
	},
	"redo": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Redo(ctx, whimbrel.RedoOptions{})
		return err
	},
	"to": func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.To(ctx, "0", whimbrel.ToOptions{})
		return err
	},
}

func TestAProtectedDatabaseIsNotRolledBackUnlessThatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, back := range backwards {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(reversible).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			marked, err := b.migrator(reversible).Protect(t.Context(), "production")
			require.NoError(t, err)
			require.Equal(t, whimbrel.Protected, marked.State)

			e := fails(t, back(t.Context(), b.migrator(reversible)), whimbrel.CodeProtected)
			require.ErrorIs(t, e, whimbrel.CodeProtected)
			require.Contains(t, e.Message, "production")
			require.Equal(t, "1 2", b.applied())

			no := errors.New("not today")
			asked := 0
			declining := b.migrator(reversible, func(c *whimbrel.Config) {
				c.OnProtected = func(_ context.Context, p whimbrel.Protection, plan whimbrel.Plan) error {
					asked++
					require.Equal(t, "production", p.Name)
					require.NotEmpty(t, plan.Migrations)
					return no
				}
			})
			require.ErrorIs(t, back(t.Context(), declining), no)
			require.Equal(t, 1, asked)
			require.Equal(t, "1 2", b.applied())
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'override'"))

			require.NoError(t, back(t.Context(), b.migrator(reversible,
				func(c *whimbrel.Config) { c.OnProtected = whimbrel.AllowProtected })))
			require.Equal(t, "1", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'override' AND name = "+
				"'production'"))
		})
	}
}

func TestTheFirstRunThatKnowsLeavesTheMark(t *testing.T) {
	b := setup(t)
	known := func(c *whimbrel.Config) { c.Protect = "production" }
	_, err := b.migrator(reversible, known).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Contains(t, b.heard(), "protection_noted")
	found, err := b.migrator(files{}, func(c *whimbrel.Config) { c.Table = "another_history" }).Protection(t.Context())
	require.NoError(t, err)
	require.Equal(t, "production", found.Name)
	require.Equal(t, whimbrel.Protected, found.State)
	require.NotZero(t, found.Since)
	_ = fails(t, backwards["down"](t.Context(), b.migrator(reversible)), whimbrel.CodeProtected)

	before, err := b.migrator(files{}).Unprotect(t.Context())
	require.NoError(t, err)
	require.Equal(t, "production", before.Name)
	require.NoError(t, backwards["down"](t.Context(), b.migrator(reversible)))
	require.Equal(t, "protect unprotect", b.text("SELECT string_agg(action, ' ' ORDER BY id) FROM schema_migrations_log "+
		"WHERE action LIKE '%protect'"))
}

func TestAMarkOfAnotherDatabaseSaysThatThisIsACopy(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(reversible).Protect(t.Context(), "production")
	require.NoError(t, err)
	for name, change := range map[string]string{
		"another oid":    "UPDATE whimbrel_protection SET database_oid = database_oid + 1",
		"another server": "UPDATE whimbrel_protection SET system_identifier = '1'",
	} {
		_, err := b.migrator(reversible).Protect(t.Context(), "production")
		require.NoError(t, err)
		b.exec(change)
		found, err := b.migrator(reversible).Protection(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, whimbrel.CopiedProtection, found.State, name)
		_, err = b.migrator(reversible).Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err, name)
		require.NoError(t, backwards["to"](t.Context(), b.migrator(reversible)), name)
	}
	require.Contains(t, b.heard(), "protection_noted")
}

func TestACopyOfAProtectedDatabaseIsNotProtected(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(reversible).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(reversible).Protect(t.Context(), "production")
	require.NoError(t, err)
	name := b.text("SELECT current_database()")
	require.NoError(t, b.conn.Close(t.Context()))
	copied := name + "_copy"
	require.NoError(t, server.CreateDatabase(t.Context(), copied, name))
	t.Cleanup(func() { require.NoError(t, server.DropDatabase(context.Background(), copied)) })

	there := b.migrator(reversible, func(c *whimbrel.Config) { c.DatabaseURL = server.URL(copied) })
	found, err := there.Protection(t.Context())
	require.NoError(t, err)
	require.Equal(t, whimbrel.CopiedProtection, found.State)
	require.Equal(t, "production", found.Name)
	require.NoError(t, backwards["down"](t.Context(), there))
	_ = fails(t, backwards["down"](t.Context(), b.migrator(reversible)), whimbrel.CodeProtected)
}

func TestAMarkThatCannotBeReadOrWrittenIsSaid(t *testing.T) {
	b := setup(t)
	role := "stranger_" + b.text("SELECT current_database()")
	b.exec("CREATE ROLE " + role + " LOGIN; CREATE SCHEMA hers AUTHORIZATION " + role + "; ALTER ROLE " + role +
		" SET search_path = hers")
	t.Cleanup(func() {
		_, err := b.conn.PgConn().Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role).ReadAll()
		require.NoError(t, err)
	})
	address, err := url.Parse(b.url)
	require.NoError(t, err)
	address.User = url.User(role)
	asStranger := func(c *whimbrel.Config) { c.DatabaseURL = address.String() }
	_, err = b.migrator(reversible, asStranger).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)

	_, err = b.migrator(reversible).Protect(t.Context(), "production")
	require.NoError(t, err)
	_ = fails(t, backwards["down"](t.Context(), b.migrator(reversible, asStranger)), whimbrel.CodeProtected)
	_ = fails(t, func() error { _, err := b.migrator(reversible, asStranger).Unprotect(t.Context()); return err }(),
		whimbrel.CodePermission)

	b.exec("CREATE SCHEMA closed; ALTER TABLE whimbrel_protection SET SCHEMA closed")
	found, err := b.migrator(reversible, asStranger).Protection(t.Context())
	require.NoError(t, err)
	require.Equal(t, whimbrel.Protected, found.State)
	require.Contains(t, found.Detail, "may not read closed.whimbrel_protection")
	_ = fails(t, backwards["down"](t.Context(), b.migrator(reversible, asStranger)), whimbrel.CodeProtected)

	b.exec("DROP SCHEMA closed CASCADE; REVOKE CREATE ON SCHEMA hers FROM " + role +
		"; ALTER SCHEMA hers OWNER TO postgres; GRANT USAGE ON SCHEMA hers TO " + role)
	_, err = b.migrator(reversible, asStranger,
		func(c *whimbrel.Config) { c.Protect, c.OnProtected = "production", whimbrel.AllowProtected }).Down(t.Context(),
		whimbrel.DownOptions{})
	require.NoError(t, err, "the run goes on without the mark")
}

func TestNothingToDoIsOneRoundTripOnAProtectedDatabaseToo(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(reversible).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(reversible).Protect(t.Context(), "production")
	require.NoError(t, err)
	config, err := pgx.ParseConfig(b.url)
	require.NoError(t, err)
	asked := false
	_, err = b.migrator(reversible, func(c *whimbrel.Config) {
		c.Connection = config
		c.OnProtected = func(context.Context, whimbrel.Protection, whimbrel.Plan) error { asked = true; return nil }
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.False(t, asked, "where nothing would run, nothing is asked")
}

// halfWay stops behind its second step.
var halfWay = files{"5_h.sql": "CREATE TABLE h ();\nVACUUM h;\nSELECT 1/0;"}

// losing are plans that take something away in another way than backwards, each with
// what was applied before.
var losing = map[string]struct {
	before, after files
	lose          func(context.Context, *whimbrel.Migrator) error
	word          string
}{
	"accepting an edited file": {
		files{"1_a.sql": "CREATE TABLE a ()"}, files{"1_a.sql": "CREATE TABLE a (edited int)"},
		func(ctx context.Context, m *whimbrel.Migrator) error { _, err := m.Accept(ctx, "1"); return err }, "accepted",
	},
	"a baseline on a history that has something": {
		files{"1_a.sql": "CREATE TABLE a ()"}, files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()"},
		func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Baseline(ctx, "2", whimbrel.BaselineOptions{})
			return err
		}, "recorded without being run",
	},
	"forgetting what is half done":          {halfWay, halfWay, recovering(whimbrel.RecoverDiscard), "forgotten"},
	"beginning again what is half done":     {halfWay, halfWay, recovering(whimbrel.RecoverRestart), "forgotten"},
	"a down migration with hooks around it": {reversible, reversible, backwards["down"], "rolled back"},
}

func recovering(action whimbrel.Action) func(context.Context, *whimbrel.Migrator) error {
	return func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Recover(ctx, whimbrel.RecoverOptions{Action: action})
		return err
	}
}

func TestWhatAProtectedDatabaseWouldLoseIsRefusedUnlessThatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, test := range losing {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			hooks := withHooks(t, map[string]string{"before_each": "SELECT 1"})
			_, _ = b.migrator(test.before, hooks).Up(t.Context(), whimbrel.UpOptions{}) // some stop half-way
			_, err := b.migrator(test.after).Protect(t.Context(), "production")
			require.NoError(t, err)
			const all = "SELECT (SELECT json_agg(s) FROM schema_migrations s)::text || (SELECT coalesce(json_agg(j)::text, " +
				"'') FROM schema_migrations_journal j)"
			before := b.text(all)

			e := fails(t, test.lose(t.Context(), b.migrator(test.after, hooks)), whimbrel.CodeProtected)
			require.Contains(t, e.Message, "so nothing was "+test.word)
			require.Equal(t, before, b.text(all))

			asked := ""
			err = test.lose(t.Context(), b.migrator(test.after, hooks, func(c *whimbrel.Config) {
				c.OnProtected = func(_ context.Context, _ whimbrel.Protection, plan whimbrel.Plan) error {
					asked = plan.Loses()
					return nil
				}
			}))
			require.Contains(t, asked, test.word)
			var own *whimbrel.Error
			if errors.As(err, &own) {
				require.Equal(t, whimbrel.CodeStatement, own.Code, "what stopped half-way stops again")
			}
			require.Equal(t, "1", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'override' AND name = "+
				"'production'"))
		})
	}
}

func TestWhatTakesNothingAwayIsDoneOnAProtectedDatabaseWithoutAPolicy(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, *whimbrel.Migrator) error{
		"up": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Up(ctx, whimbrel.UpOptions{})
			return err
		},
		"the first baseline": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Baseline(ctx, "1", whimbrel.BaselineOptions{})
			return err
		},
		"taking another tool's history over": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Adopt(ctx, []whimbrel.Adopted{{Version: "1", Name: "a"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(reversible).Protect(t.Context(), "production")
			require.NoError(t, err)
			require.NoError(t, do(t.Context(), b.migrator(reversible)))
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'override'"))
		})
	}
}
