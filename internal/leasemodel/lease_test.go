package leasemodel_test

import (
	"cmp"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/faults"
)

func TestTheProtocolKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for name, switches := range map[string][]string{
		"two runners":                              {},
		"three runners":                            {"RUNNERS=3", "FAULTS=1"},
		"everybody comes to an end":                {"PROGRESS"},
		"an operator releases the lease":           {"OPERATOR", "FAULTS=1"},
		"transactions behind a pooler":             {"POOLED", "FENCED_ONLY"},
		"all statements behind a pooler, in time":  {"POOLED", "TIMELY"},
		"an operator and transactions in a pooler": {"POOLED", "FENCED_ONLY", "OPERATOR", "FAULTS=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := check(t, "-O1", switches...)
			require.Equal(t, "0", found.errors, found.report)
			require.NotContains(t, found.report, "max search depth too small")
			t.Log(found.states, "states")
		})
	}
}

// What the properties of the model are called in the checker's report.
const (
	oldTokenCommits     = "assertion violated (session[s].fence==token)"
	recordedTwice       = "assertion violated  !(recorded[0])"
	oldStatementRuns    = "assertion violated (session[s].token>=working)"
	oldStatementStill   = "assertion violated  !((session[i].alone&&(session[i].token<mine)))"
	everythingWentWrong = "assertion violated  !(((faults==0)&&(token>2)))"
)

func TestTheCheckerFindsWhatEachSafeguardIsFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		switches []string
		violated string
	}{
		"a fence that is not held until commit":          {[]string{"NO_FENCE"}, oldTokenCommits},
		"a lock that runs out and nothing else":          {[]string{"EXPIRY_ONLY"}, oldTokenCommits},
		"sessions of older tokens are left alone":        {[]string{"NO_RETIREMENT"}, oldStatementRuns},
		"nobody waits until they are gone":               {[]string{"NO_WAITING"}, oldStatementRuns},
		"a successor that failed to end them gives back": {[]string{"GIVE_BACK"}, oldStatementRuns},
		"a session that hides its name":                  {[]string{"NAMELESS"}, oldStatementRuns},
		"a pooler, and a runner that is paused":          {[]string{"POOLED"}, oldStatementRuns},
		"a pooler, and an operator who releases": {[]string{"POOLED", "TIMELY", "OPERATOR", "FAULTS=1"},
			oldStatementRuns},
		"a release of whatever lease there is": {[]string{"RELEASE_ANY"}, oldStatementStill},
		"reconnecting with the old token, beside an operator": {[]string{"REJOIN_SAME_TOKEN", "OPERATOR", "FAULTS=1"},
			oldStatementRuns},
		"reconnecting with the old token, behind a pooler": {[]string{"REJOIN_SAME_TOKEN", "POOLED", "FENCED_ONLY"},
			recordedTwice},
		"nothing; but the model does get to where all goes awry": {[]string{"WITNESS"}, everythingWentWrong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := check(t, "-O0", test.switches...)
			require.Equal(t, "1", found.errors, found.report)
			require.Contains(t, found.report, test.violated)
		})
	}
}

// verdict is what the checker says of a model.
type verdict struct {
	errors, states, report string
}

var (
	errorCount = regexp.MustCompile(`errors: (\d+)`)
	stateCount = regexp.MustCompile(`(\d+) states, stored`)
)

// check makes a checker for the model under some switches, and runs it through
// all states, or up to the first violation. To optimise the checker pays only
// where there are many states.
func check(t *testing.T, optimise string, switches ...string) verdict {
	t.Helper()
	model, err := filepath.Abs("lease.pml")
	require.NoError(t, err)
	folder := t.TempDir()
	// Missing progress is looked for with its formula; all else needs only
	// assertions and valid end states, which is a smaller search.
	compile, run := []string{"-DSAFETY"}, []string{}
	generate := []string{"-a"}
	for _, s := range switches {
		generate = append(generate, "-D"+s)
		switch s {
		case "PROGRESS":
			compile, run = nil, append(run, "-a")
		case "RELEASE_ANY": // it also leaves runners waiting for ever; look for worse
			run = append(run, "-E")
		}
	}
	tool(t, folder, "spin", append(generate, model)...)
	tool(t, folder, "gcc", append(compile, optimise, "-w", "-DCOLLAPSE", "-o", "checker", "pan.c")...)
	report := tool(t, folder, filepath.Join(folder, "checker"), append(run, "-m10000", "-w21")...)
	count, states := errorCount.FindStringSubmatch(report), stateCount.FindStringSubmatch(report)
	require.NotNil(t, count, report)
	require.NotNil(t, states, report)
	return verdict{errors: count[1], states: states[1], report: report}
}

// packages are those of Debian that are not called as their programs are.
var packages = map[string]string{"gcc": "build-essential"}

// tool runs a program in a folder and gives back what it printed.
func tool(t *testing.T, folder, name string, arguments ...string) string {
	t.Helper()
	path, err := faults.Program(t.Context(), name, cmp.Or(packages[name], name))
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s %v:\n%s", name, arguments, output)
	return string(output)
}
