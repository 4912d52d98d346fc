//go:build linux

package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// A test binary that is started with this environment is a runner of its own,
// which can be killed and paused. It prints each event as a line of JSON, and
// its error, too, on the other stream.
const (
	childFolder     = "FAULTS_CHILD" // the folder of migrations
	childURL        = "FAULTS_URL"
	childLease      = "FAULTS_LEASE"       // a duration
	childNoPipeline = "FAULTS_NO_PIPELINE" // not empty: one migration after the other
	childCommand    = "FAULTS_COMMAND"     // "down" instead of up
	childTable      = "FAULTS_TABLE"       // of the history
	childPause      = "FAULTS_PAUSE"       // it stops itself at the first event of this kind
)

func runChild(folder string) int {
	go func() { // for as long as this process lives
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3) // the test has gone
	}()
	config := whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: os.Getenv(childURL), Table: os.Getenv(childTable)},
		Policy: whimbrel.Policy{NoPipeline: os.Getenv(childNoPipeline) != ""},
	}
	var err error
	if text := os.Getenv(childLease); text != "" {
		if config.LeaseDuration, err = time.ParseDuration(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	if config.Migrations, err = migration.Load(migration.Source{FS: os.DirFS(folder), Label: "migrations"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	withScripts(&config)
	out := json.NewEncoder(os.Stdout)
	pause := os.Getenv(childPause)
	config.Listener = func(r whimbrel.Record) {
		_ = out.Encode(r)
		if r.Event.Kind() == pause {
			pause = ""
			woken := make(chan os.Signal, 1)
			signal.Notify(woken, syscall.SIGCONT)
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			<-woken // another thread may have taken the signal, and this one still run
		}
	}
	m, err := whimbrel.New(config)
	if err == nil && os.Getenv(childCommand) == "down" {
		_, err = m.Down(context.Background(), whimbrel.DownOptions{})
	} else if err == nil {
		_, err = m.Up(context.Background(), whimbrel.UpOptions{})
	}
	var e *whimbrel.Error
	if errors.As(err, &e) {
		_ = json.NewEncoder(os.Stderr).Encode(e)
		return 1
	}
	return 0
}

// runner is a process that runs Up on the test's database.
type runner struct {
	*bundle
	command *exec.Cmd
	events  chan string // the kinds of its events; closed at its end
	errors  strings.Builder
}

// start starts a runner. It is ended with the test.
func (b *bundle) start(folder string, environment ...string) *runner {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	r := &runner{bundle: b, command: exec.CommandContext(b.Context(), self), events: make(chan string, 10000)}
	r.command.Env = append(os.Environ(), append([]string{childFolder + "=" + folder, childURL + "=" + b.url},
		environment...)...)
	r.command.Stderr = &r.errors
	// In a process group of its own, the kernel wakes and ends even a paused
	// runner when the test dies; see setpgid(2) on orphaned groups.
	r.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_, err = r.command.StdinPipe()
	require.NoError(b, err)
	out, err := r.command.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, r.command.Start())
	go func() { // ends with the process
		defer close(r.events)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var event struct{ Event string }
			if json.Unmarshal(lines.Bytes(), &event) == nil {
				r.events <- event.Event
			}
		}
	}()
	return r
}

// await returns when the runner has said so many events, or has ended.
func (r *runner) await(count int) {
	for range count {
		if _, alive := <-r.events; !alive {
			return
		}
	}
}

// end waits for the process, and gives the error that it ended with; nil where
// it succeeded.
func (r *runner) end() *whimbrel.Error {
	r.Helper()
	for range r.events {
	}
	err := r.command.Wait()
	if err == nil {
		return nil
	}
	var e *whimbrel.Error
	require.NoError(r, json.Unmarshal([]byte(r.errors.String()), &e), "%v: %s", err, r.errors.String())
	return e
}

// kill ends the process without warning.
func (r *runner) kill() {
	r.Helper()
	require.NoError(r, r.command.Process.Kill())
	for range r.events {
	}
	_ = r.command.Wait()
}

// pause stops the process as a whole, and returns when it makes no progress.
func (r *runner) pause() {
	r.Helper()
	require.NoError(r, r.command.Process.Signal(syscall.SIGSTOP))
	r.paused()
}

// paused returns when the process makes no progress.
func (r *runner) paused() {
	r.Helper()
	r.until("the runner makes no progress", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.command.Process.Pid))
		require.NoError(r, err)
		_, state, _ := strings.Cut(string(status), ") ")
		return strings.HasPrefix(state, "T")
	})
}

func (r *runner) wake() {
	r.Helper()
	require.NoError(r, r.command.Process.Signal(syscall.SIGCONT))
}
