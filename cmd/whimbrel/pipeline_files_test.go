package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// workflow is as much of a GitHub workflow as is executed here.
type workflow struct {
	Jobs map[string]struct {
		Needs string
		If    string
		Steps []struct{ Uses, Run, Shell string }
	}
}

func readWorkflow(t *testing.T) workflow {
	t.Helper()
	var w workflow
	readYAML(t, "deploy/github/migrations.yml", &w)
	return w
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), name)
}

// steps runs the shell steps of a job in order, as GitHub does, until one fails.
func (w workflow) steps(t *testing.T, job, folder string, env ...string) (output string, failed error) {
	t.Helper()
	ran := 0
	for _, step := range w.Jobs[job].Steps {
		if step.Run == "" {
			continue
		}
		ran++
		command := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", step.Run)
		command.Dir, command.Env = folder, append(os.Environ(), env...)
		out, err := command.CombinedOutput()
		output += string(out)
		if err != nil {
			return output, err
		}
	}
	require.Positive(t, ran, job)
	return output, nil
}

func TestTheWorkflowStopsAFaultAtItsLineAndDeploysWithoutIt(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, email text);\n" +
		"-- +migrate Down\nDROP TABLE users;\n"})
	folder, w := s.env.folder, readWorkflow(t)
	git := func(args ...string) {
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", folder, "-c", "user.name=a", "-c",
			"user.email=a@b"}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	// A project says who knows of its backups; the workflow leaves no check out, and
	// says which database it means.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "whimbrel.yaml"), []byte("default_environment: development\n"+
		"environments:\n  development:\n    embedded: true\n  production:\n    url: ${DATABASE_URL}\nchecks:\n  backups:\n"+
		"    - kind: query\n      query: SELECT now()\n"), 0o644))
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-q", "-m", "base")
	git("checkout", "-q", "-b", "change")
	file := filepath.Join(folder, "migrations", "2_email.sql")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o644)) }
	env := []string{"HOME=" + folder, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=" + filepath.Join(t.TempDir(),
		"summary.md"), "BASE=main"}

	write("-- fault\nCREATE INDEX users_email ON users (email);\n-- +migrate Down\nDROP INDEX users_email;\n")
	git("add", "-A")
	out, err := w.steps(t, "test", folder, env...)
	require.Error(t, err, out)
	require.Contains(t, out, "::error file=migrations/2_email.sql,line=2,")

	write("CREATE INDEX CONCURRENTLY users_email ON users (email);\n-- +migrate Down\n" +
		"DROP INDEX CONCURRENTLY users_email;\n")
	out, err = w.steps(t, "test", folder, env...)
	require.NoError(t, err, out)
	url, _ := s.env.lookup("DATABASE_URL")
	out, err = w.steps(t, "deploy", folder, append(env, "DATABASE_URL="+url)...)
	require.NoError(t, err, out)
	var there bool
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT to_regclass('users_email') IS NOT NULL").Scan(&there))
	require.True(t, there)
}

func TestDeploymentWaitsForTheTestsAndRunsOnPushesOnly(t *testing.T) {
	t.Parallel()
	deploy := readWorkflow(t).Jobs["deploy"]
	require.Equal(t, "test", deploy.Needs)
	require.Contains(t, deploy.If, "push")
}

func TestEveryStepOfTheActionIsShell(t *testing.T) {
	t.Parallel()
	var action struct {
		Runs struct {
			Using string
			Steps []struct{ Uses, Run, Shell string }
		}
	}
	readYAML(t, "action.yml", &action)
	require.Equal(t, "composite", action.Runs.Using)
	require.Len(t, action.Runs.Steps, 2)
	for _, step := range action.Runs.Steps {
		require.NotEqual(t, step.Uses == "", step.Run == "", "a step uses an action or runs a text")
		if step.Run != "" {
			require.NotEmpty(t, step.Shell, "a composite action must name the shell")
			require.NoError(t, exec.CommandContext(t.Context(), "bash", "-n", "-c", step.Run).Run())
		}
	}
}

// Whatever whimbrel is called with in an example is a command with flags that exist.
func TestExamplesOfDeploymentCallCommandsThatExist(t *testing.T) {
	t.Parallel()
	calls := [][]string{}
	var gitlab map[string]any
	readYAML(t, "deploy/gitlab/migrations.gitlab-ci.yml", &gitlab)
	for _, name := range []string{"migrations:test", "migrations:deploy"} {
		job, ok := gitlab[name].(map[string]any)
		require.True(t, ok, name)
		for _, line := range job["script"].([]any) {
			calls = append(calls, strings.Fields(line.(string))[1:])
		}
	}
	var hooks []struct{ Entry string }
	readYAML(t, ".pre-commit-hooks.yaml", &hooks)
	for _, hook := range hooks {
		calls = append(calls, strings.Fields(hook.Entry)[1:])
	}
	for _, name := range []string{"job", "helm-hook"} {
		calls = append(calls, jobArguments(t, "deploy/kubernetes/"+name+".yaml"))
	}
	require.Len(t, calls, 6)
	for _, call := range calls {
		command, rest, err := newRoot(newApp(environment{lookup: variables{}.lookup, stdout: &strings.Builder{},
			stderr: &strings.Builder{}}, nil)).Find(call)
		require.NoError(t, err, call)
		require.NoError(t, command.ParseFlags(rest), call)
	}
}

// jobArguments checks that a Job is unprivileged and has a grace period longer than
// whimbrel's own, and gives what the container runs.
func jobArguments(t *testing.T, name string) []string {
	t.Helper()
	var job struct {
		Kind string
		Spec struct {
			Template struct {
				Spec struct {
					Grace    int `yaml:"terminationGracePeriodSeconds"`
					Security struct {
						RunAsNonRoot bool `yaml:"runAsNonRoot"`
					} `yaml:"securityContext"`
					Containers []struct {
						Args     []string
						Security struct {
							ReadOnly bool `yaml:"readOnlyRootFilesystem"`
						} `yaml:"securityContext"`
					}
				}
			}
		}
	}
	readYAML(t, name, &job)
	pod := job.Spec.Template.Spec
	require.Equal(t, "Job", job.Kind)
	require.Greater(t, pod.Grace, int(defaultDeployGrace.Seconds()))
	require.True(t, pod.Security.RunAsNonRoot)
	require.Len(t, pod.Containers, 1)
	require.True(t, pod.Containers[0].Security.ReadOnly)
	return pod.Containers[0].Args
}

func TestTheComposeFileIsUnprivilegedToo(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			ReadOnly bool `yaml:"read_only"`
			User     string
		}
	}
	readYAML(t, "deploy/docker/compose.yaml", &compose)
	require.True(t, compose.Services["migrations"].ReadOnly)
	require.NotEmpty(t, compose.Services["migrations"].User)
}
