package main

import (
	"time"

	"github.com/spf13/cobra"
)

// ciFlags are the flags of ci.
type ciFlags struct {
	base, sarif, junit, codeQuality, comment, tests string
	noRehearsal, noTest, unsandboxed, acceptConfig  bool
	timeout                                         time.Duration
	scriptEnv                                       []string
}

func newCI(a *app) *cobra.Command {
	flags := &ciFlags{}
	command := &cobra.Command{
		Use:   "ci",
		Short: "Judge a pull request: lint, test and annotate its migrations",
		Long: `Judge a change of migrations, step by step:

  settings  whimbrel.yaml judges it as it judged what is merged into --base
  files     they can be read, and are in order
  merged    those that are merged into --base are as they were; new ones are newer
  applied   what the target has run is what the files say (with --env or --database-url)
  lint      what is new harms no database in use; rehearsed on a throw-away server
  test      what is new goes up, down and up again
  plan      what would run on the target

In GitHub Actions it annotates the changed lines and writes the job's summary;
for others there are reports. It ends in 2 for malformed files, 5 where merged
or applied migrations were changed, 3 for a hazard or an altered setting, 1 for
a failed test: the first that is so.

A change does not choose its judge: where it alters lint, checks, scripts,
environments or folders in whimbrel.yaml, or puts another whimbrel.yaml in the
place of the base's, nothing of it is run, unless --accept-config says that
somebody has read it. Scripts see no variable of the environment here but those
that --script-env names.

The base is, unless it is given, that of the pull request (GITHUB_BASE_REF,
CI_MERGE_REQUEST_DIFF_BASE_SHA). Without one every migration counts as new.`,
		Example: `  whimbrel ci --base origin/main
  whimbrel ci --junit report.xml --code-quality gl-code-quality-report.json
  whimbrel ci --sarif whimbrel.sarif --comment comment.md
  whimbrel ci --env staging         # also against what is there
  whimbrel ci --accept-config       # whimbrel.yaml was changed, and somebody has read it`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.ci(command.Context(), flags) },
	}
	set := command.Flags()
	set.StringVar(&flags.base, "base", "", "the `REVISION` of git that the change is to go into")
	set.StringVar(&flags.sarif, "sarif", "", "write what lint found to `FILE`, as SARIF")
	set.StringVar(&flags.junit, "junit", "", "write a report in JUnit's format to `FILE`")
	set.StringVar(&flags.codeQuality, "code-quality", "", "write a report for GitLab to `FILE`")
	set.StringVar(&flags.comment, "comment", "", "write a comment in Markdown to `FILE`")
	set.StringVar(&flags.tests, "tests", "", "the `FOLDER` of rows and queries for the tests (default \"tests\" beside "+
		"whimbrel.yaml, if it is there)")
	set.BoolVar(&flags.noRehearsal, "no-rehearsal", false, "judge by the text alone")
	set.BoolVar(&flags.noTest, "no-test", false, "test nothing")
	set.DurationVar(&flags.timeout, "timeout", 10*time.Minute,
		"how long one migration may take to be rehearsed, and to be tested")
	set.BoolVar(&flags.acceptConfig, "accept-config", false,
		"judge by the whimbrel.yaml of the change: somebody has read it")
	set.StringArrayVar(&flags.scriptEnv, "script-env", nil,
		"let scripts see the variable `NAME`, one of scripts.environment; may be given several times")
	set.BoolVar(&flags.unsandboxed, "unsandboxed", false,
		"run the migrations even where nothing keeps them from this machine")
	return command
}
