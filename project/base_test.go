package project

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notJudging are the keys of whimbrel.yaml that say how migrations run and who is told.
var notJudging = []string{"retry_budget", "lock_wait", "max_replica_lag", "alerts", "log", "metrics", "telemetry"}

func TestEveryKeyJudgesOrDoesNot(t *testing.T) {
	t.Parallel()
	of := reflect.TypeFor[File]()
	for i := range of.NumField() {
		if key := of.Field(i).Tag.Get("yaml"); key != "" {
			require.NotEqual(t, slices.Contains(judging, key), slices.Contains(notJudging, key),
				"%s is a new key: can a change choose its judge by it?", key)
		}
	}
}

func TestWhatAlteredAJudgeIsNamed(t *testing.T) {
	t.Parallel()
	const base = "migrations: [db/one, db/two]\nhooks: hooks\nlint: {hazards: {drop-table: error}, rehearsal: true}\n" +
		"environments: {a: {url: x}, b: {embedded: true}}\nscripts: {environment: [A], memory: 32MB}\n" +
		"checks: {windows: ['Sat 02:00-06:00'], backups: [{kind: wal_g}], skip: data_size}\nvariables: {A: x}\n"
	for name, test := range map[string]struct {
		was, now           string
		wasPlace, nowPlace string
		keys               []string
	}{
		"nothing":                     {was: base, now: base},
		"the order of keys":           {was: "table: a\nformat: goose\n", now: "format: goose\ntable: a\n"},
		"another way to write a list": {was: "migrations: db\n", now: "migrations: [db]\n"},
		"the default, said":           {now: "migrations: migrations\nlint: {rehearsal: true}\n"},
		"the same folders from above": {was: "migrations: a/migrations\n", now: "migrations: migrations\n", nowPlace: "a",
			keys: []string{"tests"}},
		"a folder from another place": {was: "migrations: db\n", now: "migrations: db\n", nowPlace: "a",
			keys: []string{"migrations", "tests"}},
		"hooks from another place": {was: "hooks: h\nmigrations: /db\n", now: "hooks: h\nmigrations: /db\n",
			nowPlace: "a", keys: []string{"hooks", "tests"}},
		"a hazard": {was: base, now: strings.Replace(base, "drop-table: error", "drop-table: warn", 1),
			keys: []string{"lint.hazards.drop-table"}},
		"a hazard that is added": {now: "lint: {hazards: {drop-table: warn}}\n",
			keys: []string{"lint.hazards.drop-table"}},
		"a hazard that is removed": {was: "lint: {hazards: {drop-table: error}}\n",
			keys: []string{"lint.hazards.drop-table"}},
		"what is there beforehand": {was: "sandbox: {prepare: a.sql, roles: [a]}\n",
			now:  "sandbox: {prepare: b.sql, extensions: x, superuser: true}\n",
			keys: []string{"sandbox.extensions", "sandbox.prepare", "sandbox.roles", "sandbox.superuser"}},
		"the same file from another place": {was: "sandbox: {prepare: a/p.sql}\nmigrations: /db\n",
			now: "sandbox: {prepare: p.sql}\nmigrations: /db\n", nowPlace: "a", keys: []string{"tests"}},
		"the rehearsal":            {now: "lint: {rehearsal: false}\n", keys: []string{"lint.rehearsal"}},
		"the version to judge for": {now: "lint: {pg_version: 14}\n", keys: []string{"lint.pg_version"}},
		"a folder": {was: base, now: strings.Replace(base, "db/two", "db/three", 1),
			keys: []string{"migrations"}},
		"an address": {was: base, now: strings.Replace(base, "url: x", "url: '${SECRET}'", 1),
			keys: []string{"environments.a.url"}},
		"an environment": {was: base, now: strings.Replace(base, "b: {embedded: true}", "c: {url: y}", 1),
			keys: []string{"environments.b.embedded", "environments.c.url"}},
		"a protection": {was: "environments: {a: {url: x, protected: true}}\n",
			now: "environments: {a: {url: x}}\n", keys: []string{"environments.a.protected"}},
		"a variable for scripts": {was: base, now: strings.Replace(base, "[A]", "[A, TOKEN]", 1),
			keys: []string{"scripts.environment"}},
		"the limits of scripts": {was: base, now: strings.Replace(base, "32MB", "32GB", 1),
			keys: []string{"scripts.memory"}},
		"a window": {was: base, now: strings.Replace(base, "Sat", "Sun", 1),
			keys: []string{"checks.windows.0"}},
		"a command": {now: "checks: {free_disk: {kind: command, command: [id]}}\n",
			keys: []string{"checks.free_disk.command", "checks.free_disk.kind"}},
		"who tells of backups": {was: base, now: strings.Replace(base, "wal_g", "pg_stat_archiver", 1),
			keys: []string{"checks.backups.0.kind"}},
		"what is skipped": {was: base, now: strings.Replace(base, "skip", "warn_only", 1),
			keys: []string{"checks.skip", "checks.warn_only"}},
		"the value of a variable": {was: base, now: strings.Replace(base, "A: x", "A: y", 1),
			keys: []string{"variables.A"}},
		"a policy":           {now: "out_of_order: apply\n", keys: []string{"out_of_order"}},
		"the history":        {now: "table: other\n", keys: []string{"table"}},
		"the stall":          {now: "max_stall: 1h\n", keys: []string{"max_stall"}},
		"the folders within": {now: "subfolders: true\n", keys: []string{"subfolders"}},
		"the tool":           {now: "format: goose\n", keys: []string{"format"}},
		"which environment is meant": {was: base, now: base + "default_environment: a\n",
			keys: []string{"default_environment"}},
		"who is told, which is no one": {now: "log: {format: json}\nalerts: {slow_high: 1m}\ntelemetry: {literals: true}\n" +
			"lock_wait: 1s\nretry_budget: 1m\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			was, err := Parse("was", []byte(test.was), nil)
			require.NoError(t, err)
			now, err := Parse("now", []byte(test.now), nil)
			require.NoError(t, err)
			require.Equal(t, test.keys, changedKeys(flatten(was, test.wasPlace), flatten(now, test.nowPlace)))
			require.Equal(t, test.keys, changedKeys(flatten(now, test.nowPlace), flatten(was, test.wasPlace)),
				"the other way round")
		})
	}
}
