package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"github.com/whimbrel-db/whimbrel/project"
)

// hidden are what nobody may see: each is a piece of a password, a token, or a value.
var hidden = []string{"s3cr3t", "l0ng-l0ng", "Q7z", "5551234"}

// secretValues are values of variables that are hard to hide: quotes, what printf would
// take for a verb, one that the server cuts off, a short one, and a number.
var secretValues = []string{
	`QUOTE=it's 100%d s3cr3t-q"u"ote\`, "LONG=" + strings.Repeat("l0ng-", 30), "SHORT=Q7z", "RAW=5551234",
}

var secretMigrations = map[string]string{
	"1_table.sql": `-- +migrate Variables QUOTE, LONG, SHORT
CREATE TABLE secrets (v text UNIQUE, code text CONSTRAINT known CHECK (code = ` + "${'SHORT'}" + `), n int DEFAULT 1);
INSERT INTO secrets VALUES (${'QUOTE'}, ${'SHORT'}), (${'LONG'}, NULL);
COMMENT ON TABLE secrets IS ${'QUOTE'};
-- +migrate Down
DELETE FROM secrets WHERE v = ${'QUOTE'};
DROP TABLE secrets;
`,
	"2_index.sql": `-- +migrate Variables QUOTE
CREATE INDEX CONCURRENTLY of_secrets ON secrets (v) WHERE v <> ${'QUOTE'};
-- +migrate Down
DROP INDEX CONCURRENTLY of_secrets;
`,
	"3_fails.sql": `-- +migrate Variables QUOTE, SHORT
INSERT INTO secrets VALUES (${'QUOTE'}, ${'SHORT'});
-- +migrate Down
DELETE FROM secrets WHERE v = ${'QUOTE'};
`,
	"4_pending.sql": `-- +migrate Variables QUOTE, LONG, RAW
ALTER TABLE secrets ADD CONSTRAINT other CHECK (v <> ${'QUOTE'});
ALTER TABLE secrets ALTER COLUMN n SET DEFAULT ${RAW};
UPDATE secrets SET v = ${'LONG'} || ${RAW};
CREATE INDEX CONCURRENTLY of_pending ON secrets (v) WHERE v <> ${'QUOTE'};
-- +migrate Down
SELECT ${RAW};
`,
}

// invocations are how each command is run with secrets about. A command that is in
// neither table fails the test.
var invocations = map[string][][]string{
	"up":     {{}, {"--dry-run"}, {"--steps", "1"}},
	"deploy": {{"--skip-check", "all", "--report", "report.md"}, {"--report", "report.md"}},
	"down":   {{"--dry-run"}, {}},
	"redo":   {{"--dry-run"}, {}},
	"to":     {{"4", "--dry-run"}, {"4"}, {"1"}},
	"status": {{}},
	"plan":   {{}, {"--out", "plan.json"}, {"--markdown", "plan.md"}, {"down"}, {"--rehearse"}, {"--brief"}},
	"ci":     {{"--markdown", "ci.md", "--base", "none"}},
	"lint": {
		{}, {"--no-rehearsal", "--format", "sarif"}, {"--no-rehearsal", "--format", "github", "-o", "lint.txt"},
		{"--no-rehearsal", "--down"}, {"--pending"},
	},
	"check":          {{"--details"}},
	"test":           {{"--junit", "junit.xml", "--markdown", "test.md"}},
	"squash":         {{"--to", "2", "--yes"}},
	"verify":         {{}, {"--history-only"}, {"--accept", "1"}},
	"baseline":       {{"4"}},
	"adopt":          {{"--from", "goose"}},
	"export":         {{"--to", "goose", "exported"}},
	"history":        {{}, {"--failed"}},
	"history show":   {{"3"}},
	"metrics":        {{}},
	"alert":          {{}},
	"alert test":     {{}},
	"lock":           {{}},
	"lock release":   {{"--yes"}},
	"version":        {{}},
	"manual":         {{"manual"}},
	"init":           {{}},
	"create":         {{"new"}},
	"config":         {{}},
	"config schema":  {{}},
	"protect":        {{}},
	"protect on":     {{"--yes"}},
	"protect off":    {{"--yes"}},
	"protect status": {{}},
	"recover":        {{}, {"--continue", "--yes"}},
}

var excused = map[string]string{
	"dev": "it has a server of its own, and neither migrations nor variables", "dev start": "likewise",
	"dev stop": "likewise", "dev status": "likewise",
	"dev reset": "likewise", "dev psql": "likewise", "dev url": "it prints what it is asked for",
}

func TestNoCommandShowsASecret(t *testing.T) {
	t.Parallel()
	for _, command := range commandsOf(newRoot(newApp(environment{}, nil))) {
		if excused[command] != "" {
			continue
		}
		ways, ok := invocations[command]
		require.True(t, ok, "%s is a new command: say how it is run with secrets about, or why it cannot show any", command)
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			for _, way := range ways {
				for _, form := range [][]string{{"-v"}, {"--json"}} {
					s := newSecretSession(t)
					args := append(append(strings.Fields(command), way...), form...)
					s.run(args...)
					s.showsNoSecret(strings.Join(args, " "))
				}
			}
		})
	}
}

// commandsOf are the commands below one, by their full names.
func commandsOf(parent *cobra.Command) (all []string) {
	for _, command := range parent.Commands() {
		all = append(all, strings.TrimPrefix(command.CommandPath(), "whimbrel "))
		all = append(all, commandsOf(command)...)
	}
	return all
}

// newSecretSession is a project with secrets in every place, two of whose migrations
// are applied; the third has failed.
func newSecretSession(t *testing.T) *session {
	s := newSession(t, secretMigrations)
	own, err := pgx.ParseConfig(s.env.variable("DATABASE_URL"))
	require.NoError(t, err)
	role := "owner_of_" + own.Database
	s.exec(fmt.Sprintf(`CREATE ROLE %s SUPERUSER LOGIN PASSWORD 's3cr3t-pä/ss'`, role))
	t.Cleanup(func() {
		conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
		if err == nil {
			_, _ = conn.Exec(t.Context(), "DROP ROLE "+role)
		}
	})
	tcp, err := url.Parse(server.TCPURL(own.Database))
	require.NoError(t, err)
	tcp.User = url.UserPassword(role, "s3cr3t-pä/ss")
	set := variables{"DATABASE_URL": tcp.String(), "HOME": s.env.folder, "PGPASSWORD": "s3cr3t-pg",
		"DB_PASSWORD": "s3cr3t-db"}
	configured := "metrics: {pushgateway: 'http://u:s3cr3t-push@127.0.0.1:1', textfile: run.prom}\n" +
		"log: {format: json, file: run.log, level: debug}\n" +
		"alerts: {grace: 100ms, sinks: [{url: 'http://u:s3cr3t-sink@127.0.0.1:1/s3cr3t-path?token=s3cr3t-token', secret: " +
		"s3cr3t-key}]}\nvariables:\n"
	for _, value := range secretValues {
		name, value, _ := strings.Cut(value, "=")
		set["SECRET_"+name] = value
		configured += "  " + name + ": ${SECRET_" + name + "}\n"
	}
	s.configure(configured)
	s.env.lookup = set.lookup
	require.Equal(t, exitFailed, s.run("up"), s.err.String())
	require.Contains(t, s.err.String(), "already exists")
	return s
}

// showsNoSecret looks through all that was printed, written and recorded.
func (s *session) showsNoSecret(command string) {
	s.t.Helper()
	all := map[string]string{"stdout": s.out.String(), "stderr": s.err.String()}
	require.NoError(s.t, filepath.WalkDir(s.env.folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == project.Name {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	}))
	for _, table := range []string{"schema_migrations", "migration_lock", "schema_migrations_journal",
		"schema_migrations_log"} {
		all[table] = s.value("SELECT coalesce(string_agg(x::text, ' '), '') FROM " + table + " x")
	}
	for place, text := range all {
		for _, secret := range hidden {
			if at := strings.Index(text, secret); at >= 0 {
				s.t.Errorf("whimbrel %s shows %q in %s: …%s…", command, secret, place, text[max(0, at-120):min(len(text), at+60)])
			}
		}
	}
}
