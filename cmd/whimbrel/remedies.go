package main

import (
	"regexp"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel"
)

// inCommandLine has what remedies of the library name, and how the command line calls it.
// The library's users have fields and methods; those of the program have flags and commands.
var inCommandLine = [][2]string{
	{`the goal BaselineOnly\(([^)]*)\)`, "`whimbrel baseline --only $1`"},
	{`the goal BaselineWithOlder\(([^)]*)\)`, "`whimbrel baseline --with-older $1`"},
	{`Migrator\.Baseline\(([^)]*)\)`, "`whimbrel baseline $1`"},
	{`Migrator\.Forget\(([^)]*)\)`, "`whimbrel baseline --forget $1`"},
	{`Migrator\.Accept\(([^)]*)\)`, "`whimbrel verify --accept $1`"},
	{`Migrator\.Begin\b`, "`whimbrel baseline --none`"},
	{`the history alone, with Migrator\.Verify\b`, "the history alone with --history-only"},
	{`Migrator\.Verify\b`, "`whimbrel verify`"},
	{`Migrator\.Status\b`, "`whimbrel status --all`"},
	{`Migrator\.Recover\b`, "`whimbrel recover`"},
	{`Migrator\.Lock\b`, "`whimbrel lock`"},
	{`Migrator\.Down\b`, "`whimbrel down`"},
	{`Migrator\.Up\b`, "`whimbrel up`"},
	{`Migrator\.Plan\b`, "`whimbrel plan --out`"},
	{`Migrator\.Unprotect\b`, "`whimbrel protect off`"},
	{`package adopt \(table (\S+)\)`, "`whimbrel adopt --their-table $1`"},
	{`package adopt\b`, "`whimbrel adopt`"},
	{`package squash\b`, "`whimbrel squash`"},
	{`give Load its path, (\S+);`, "--config $1;"},
	{`create one, or give Load no path\b`, "create one with whimbrel init, or omit --config"},
	{`write one, or give Load its path\b`, "write one with whimbrel init, or name it with --config"},
	{`Config\.MaxReplicaLag leaves\b`, "--ignore-replicas leaves"},
	{`put them right, or set Options\.DatabaseURL\b`, "put them right, or give --database-url"},
	{`see DevServer and its Status; begin again with its Reset; or give another database by Options\.DatabaseURL\b`,
		"see whimbrel dev status; begin again with whimbrel dev reset; or give another database with --database-url"},
	{`Options\.DatabaseURL:`, "--database-url"},
	{`Options\.DatabaseURL\b`, "--database-url"},
	{`Options\.Environment:`, "--env"},
	{`Options\.Dev\b`, "--dev"},
	{`Options\.Variables\[([^]]*)\]`, "--set $1"},
	{`Options\.Subfolders\b`, "--subfolders"},
	{`by Options\.Format, as (\S+), or by\b`, "by --format $1, or by"},
	{`set Options\.Format to ([a-z-]+)`, "say --format $1"},
	{`Options\.Format\b`, "--format"},
	{`accept it \(Options\.Accepted\)`, "say --accept-config"},
	{`allow it by Config\.OnProtected, or `, ""},
	{`Config\.Table: `, "--table "},
	{`Config\.Table\b`, "--table"},
	{`Config\.RetryBudget\b`, "--retry-budget"},
	{`Config\.LockWait\b`, "--lock-wait"},
	{`Config\.AllowMissing\b`, "--allow-missing"},
	{`with Config\.OutOfOrder set to apply\b`, "with `whimbrel up --out-of-order apply`"},
	{`set Config\.OutOfOrder to apply\b`, "say --out-of-order apply"},
	{`DownOptions\.ForceNoDown\b`, "--force-no-down"},
	{`set Options\.Unfinished to applied\b(.*), or to pending\b`, "say --unfinished applied$1, or --unfinished pending"},
	{`Options\.AllowMissing\b`, "--allow-missing"},
	{`Options\.AcceptEdited\b`, "--accept-edited"},
	{`adopt again, or raise Options\.Wait\b`, "run the command again, or raise --lock-wait"},
	{`\(Options\.Expected\)`, "(--write-schema, --schema)"},
	{`with Options\.KeepData\b`, "with --keep-data TABLE"},
	{`set Options\.DropData\b`, "say --drop-data"},
	{`Options\.Major\b`, "--pg-version"},
	{` \(Options\.Base\)`, ": --base names it"},
	{`choose by named: `, "say which by --their-table "},
	{`choose by from: `, "say which by --from "},
	{`choose by from and named\b`, "say by --from and --their-table"},
	{`give it to Find as named\b`, "give it by --their-table"},
	{`name another table, and\b`, "name another by --their-table, and"},
	{`export without WriteHistory\b`, "omit --history"},
	{`or without WriteHistory\b`, "or without --history"},
	{`the hazards that lint\.Hazards lists\b`, "the hazards with `whimbrel lint --list`"},
	{`create it, or set Source\.Dir to\b`, "create it with `whimbrel init`, or name with --dir"},
	{`set Source\.Dir to the folder of the migrations, or write one\b`,
		"name the folder of the migrations with --dir, or write one with `whimbrel create`"},
	{`set Source\.Dir to the folder of the migrations\b`, "name the folder of the migrations with --dir"},
	{`correct the folder of the hooks\b`, "name the folder of the hooks with --hooks, or with hooks: in whimbrel.yaml"},
	{`give it in Variables\[([^]]*)\]`,
		"give it with --set $1=…, or below variables: in whimbrel.yaml, where ${…} must be set in the environment"},
}

// namedByLibrary finds whether a text may name anything of the library at all.
var namedByLibrary = sync.OnceValue(func() []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, entry := range inCommandLine {
		all = append(all, regexp.MustCompile(entry[0]))
	}
	return all
})

// commandLine gives a remedy of the library in the words of the command line.
func commandLine(remedy string) string {
	if remedy == "" {
		return ""
	}
	for i, pattern := range namedByLibrary() {
		remedy = pattern.ReplaceAllString(remedy, strings.ReplaceAll(inCommandLine[i][1], "${", "$${"))
	}
	return remedy
}

// spoken is an error with its remedy in the words of the command line.
func spoken(e *whimbrel.Error) *whimbrel.Error {
	if e == nil {
		return nil
	}
	said := *e
	said.Remedy = commandLine(e.Remedy)
	return &said
}

// spokenRecord is an event with the remedy of its error in the words of the command line.
func spokenRecord(r whimbrel.Record) whimbrel.Record {
	switch e := r.Event.(type) {
	case whimbrel.HookFinished:
		e.Error = spoken(e.Error)
		r.Event = e
	case whimbrel.Failed:
		e.Error = spoken(e.Error)
		r.Event = e
	case whimbrel.RunFinished:
		e.Error = spoken(e.Error)
		r.Event = e
	}
	return r
}
