package adopt_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/migration"
)

// node installs the tools that run on Node.js, once.
var node = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(tools, "node")
	if err := os.CopyFS(folder, os.DirFS("testdata/node")); err != nil {
		return "", err
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := faults.Program(context.Background(), program, map[string]string{"node": "nodejs",
			"npm": "npm"}[program]); err != nil {
			return "", err
		}
	}
	install := exec.CommandContext(context.Background(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = folder
	if output, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing the tools of Node.js: %w\n%s", err, output)
	}
	return folder, nil
})

// nodeTool has a tool that runs on Node.js apply so many migrations.
func nodeTool(name string) func(t *testing.T, url, folder string, steps int) {
	return func(t *testing.T, url, folder string, steps int) {
		t.Helper()
		program, err := node()
		require.NoError(t, err)
		command := exec.CommandContext(t.Context(), "node", "run.js", name, url, folder, fmt.Sprint(steps))
		command.Dir = program
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
}

// dbmate applies so many migrations: all those of a folder that has no others.
func dbmate(t *testing.T, url, all string, steps int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(all, "*.sql"))
	require.NoError(t, err)
	part := t.TempDir()
	for _, name := range names[:steps] {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(part, filepath.Base(name)), text, 0o600))
	}
	dbmateSays(t, url, part, "migrate")
}

// dbmateSays has dbmate do something, and gives what it prints.
func dbmateSays(t *testing.T, url, folder string, arguments ...string) string {
	t.Helper()
	installed, err := node()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "node", append([]string{
		filepath.Join(installed, "node_modules", "dbmate", "dist", "cli.js"), "--url", url, "--migrations-dir", folder,
		"--no-dump-schema"}, arguments...)...)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return string(output)
}

// folder writes files into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// sql is one direction of a migration, as text; without what cannot be in a
// transaction where inside is set.
func sql(s migration.Section, inside bool) string {
	var b strings.Builder
	for _, statement := range s.Statements {
		b.WriteString(statement.Text + ";\n")
	}
	if inside {
		return strings.ReplaceAll(b.String(), " CONCURRENTLY", "")
	}
	return b.String()
}

// ternFolder numbers from 1 on, and has a template in each of two ways.
func ternFolder(t *testing.T) string {
	files := map[string]string{
		"tern.conf":       "[database]\npassword = {{env \"PASSWORD\"}}\n[data]\nprefix = shop\n",
		"shared/note.sql": "'a note'",
	}
	for i, m := range shop(t) {
		text := sql(m.Up, false)
		if m.Up.NoTransaction {
			text = "---- tern: disable-tx ----\n" + text
		}
		switch i {
		case 7:
			text += "CREATE TABLE {{.prefix}}_notes (note text);\n"
		case 9:
			text += `ALTER TABLE {{if true}}{{.prefix}}{{end}}_notes ALTER note SET DEFAULT {{template "shared/note.sql" .}};` +
				"\n"
		}
		if len(m.Down.Statements) > 0 {
			text += "---- create above / drop below ----\n" + sql(m.Down, false)
		}
		files[fmt.Sprintf("%03d_%s.sql", i+1, m.Name)] = text
	}
	return folder(t, files)
}

func atlasFolder(t *testing.T) string {
	files := map[string]string{}
	for _, m := range shop(t) {
		text := sql(m.Up, false)
		if m.Up.NoTransaction {
			text = "-- atlas:txmode none\n\n" + text
		}
		files[string(m.Version)+"_"+m.Name+".sql"] = text
	}
	return folder(t, summed(files))
}

// summed are files with atlas.sum beside them, which Atlas itself checks.
func summed(files map[string]string) map[string]string {
	running, total := sha256.New(), sha256.New()
	lines := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		running.Write([]byte(name + files[name]))
		sum := base64.StdEncoding.EncodeToString(running.Sum(nil))
		total.Write([]byte(name + sum))
		lines += name + " h1:" + sum + "\n"
	}
	files["atlas.sum"] = "h1:" + base64.StdEncoding.EncodeToString(total.Sum(nil)) + "\n" + lines
	return files
}

// nodePGFolder is SQL, and JavaScript in one.
func nodePGFolder(t *testing.T) string {
	files := map[string]string{}
	for i, m := range shop(t) {
		stem := fmt.Sprintf("%d_%s", 1700000000000+i*1000, m.Name)
		if i == 7 {
			files[stem+".js"] = fmt.Sprintf("exports.up = (pgm) => { pgm.sql(%s); };\n"+
				"exports.down = (pgm) => { pgm.sql(%s); };\n", quote(t, sql(m.Up, true)), quote(t, sql(m.Down, true)))
			continue
		}
		files[stem+".sql"] = "-- Up Migration\n" + sql(m.Up, true) + "\n-- Down Migration\n" + sql(m.Down, true)
	}
	return folder(t, files)
}

func quote(t testing.TB, text string) string {
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	return string(quoted)
}

// knexFolder has SQL in JavaScript, the schema builder in an ES module among those
// that Knex applies, and among those that it does not.
func knexFolder(t *testing.T) string {
	files := map[string]string{}
	for i, m := range shop(t) {
		down := "SELECT 1"
		if len(m.Down.Statements) > 0 {
			down = sql(m.Down, true)
		}
		stem := fmt.Sprintf("202401%02d000000_%s", i+1, m.Name)
		if i == 4 || i == 8 {
			files[stem+".mjs"] = fmt.Sprintf(knexModule, i, quote(t, sql(m.Up, true)))
			continue
		}
		files[stem+".js"] = fmt.Sprintf(
			"exports.up = async (knex) => { await knex.raw(%s); };\nexports.down = (knex) => knex.schema.raw(%s);\n", quote(t,
				sql(m.Up, true)), quote(t, down))
	}
	return folder(t, files)
}

const knexModule = `const gifts = 'gifts%[1]d';
export async function up(knex) {
  await knex.raw(%[2]s);
  if (await knex.schema.hasTable(gifts)) return;
  await knex.schema.createTable(gifts, (table) => {
    table.increments();
    table.bigInteger('user_id').notNullable().references('users.id').onDelete('CASCADE').index();
    table.enu('kind', ['flowers', 'wine']).defaultTo('wine').comment("what's in it");
    table.decimal('price', 10, 2).checkPositive();
    table.jsonb('notes').notNullable().defaultTo({ wrapped: true });
    table.timestamps(true, true);
    table.unique(['user_id', 'kind'], { deferrable: 'deferred' });
  }).alterTable(gifts, (table) => {
    table.string('card', 80).notNullable().defaultTo('');
    table.renameColumn('notes', 'remarks');
    table.text('kind').notNullable().alter({ alterType: false });
  });
}
export const down = (knex) => knex.schema.dropTableIfExists(gifts);
`

func dbMigrateFolder(t *testing.T) string {
	files := map[string]string{}
	for i, m := range shop(t) {
		stem := fmt.Sprintf("202401%02d000000-%s", i+1, m.Name)
		files["sqls/"+stem+"-up.sql"], files["sqls/"+stem+"-down.sql"] = sql(m.Up, true), sql(m.Down, true)
		files[stem+".js"] = fmt.Sprintf(`const fs = require('fs');
const path = require('path');
const run = (db, name) => db.runSql(fs.readFileSync(path.join(__dirname, 'sqls', name), { encoding: 'utf-8' }));
exports.setup = () => {};
exports.up = (db) => run(db, '%[1]s-up.sql');
exports.down = (db) => run(db, '%[1]s-down.sql');
exports._meta = { version: 1 };
`, stem)
	}
	return folder(t, files)
}

func drizzleFolder(t *testing.T) string {
	files := map[string]string{}
	type entry struct {
		Idx         int    `json:"idx"`
		Version     string `json:"version"`
		When        int64  `json:"when"`
		Tag         string `json:"tag"`
		Breakpoints bool   `json:"breakpoints"`
	}
	var entries []entry
	for i, m := range shop(t) {
		tag := fmt.Sprintf("%04d_%s", i, m.Name)
		var texts []string
		for _, s := range m.Up.Statements {
			texts = append(texts, strings.ReplaceAll(s.Text, " CONCURRENTLY", ""))
		}
		files[tag+".sql"] = strings.Join(texts, "--> statement-breakpoint\n")
		entries = append(entries, entry{i, "7", 1700000000000 + int64(i), tag, true})
	}
	journal, err := json.Marshal(map[string]any{"version": "7", "dialect": "postgresql", "entries": entries})
	require.NoError(t, err)
	files["meta/_journal.json"] = string(journal)
	return folder(t, files)
}

func prismaFolder(t *testing.T) string {
	files := map[string]string{"migration_lock.toml": `provider = "postgresql"`}
	for i, m := range shop(t) {
		files[fmt.Sprintf("202401%02d000000_%s/migration.sql", i+1, m.Name)] = sql(m.Up, true)
	}
	return folder(t, files)
}
