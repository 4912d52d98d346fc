package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// usage is what a whole process took, from its start to its end.
type usage struct {
	Milliseconds float64 `json:"milliseconds"`
	Bytes        float64 `json:"bytes"`
}

// process runs one of this module's commands on a database, in the temporary
// folder, where no configuration is.
func (l *lab) process(ctx context.Context, url, name string, args ...string) (usage, error) {
	peak, err := l.program(ctx, "bench/peak")
	if err != nil {
		return usage{}, err
	}
	path, err := l.program(ctx, name)
	if err != nil {
		return usage{}, err
	}
	var said strings.Builder
	command := exec.CommandContext(ctx, peak, append([]string{path}, args...)...)
	command.Dir, command.Stderr = l.folder, &said
	command.Env = append(os.Environ(), "DATABASE_URL="+url)
	out, err := command.Output()
	if err != nil {
		return usage{}, fmt.Errorf("running %s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	var u usage
	if err := json.Unmarshal(out, &u); err != nil {
		return usage{}, fmt.Errorf("reading what %s took: %w", name, err)
	}
	return u, nil
}

// command is the time that a whole run of whimbrel takes on a history.
func (l *lab) command(args ...string) work { return l.commandOf("cmd/whimbrel", args...) }

// commandOf is command for one of the builds.
func (l *lab) commandOf(program string, args ...string) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		u, err := l.process(ctx, url, program, append(args, "--dir", h.folder)...)
		return u.Milliseconds, err
	}
}

// megabytes is the most memory that a run of whimbrel has on a history.
func (l *lab) megabytes(program string, args ...string) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		u, err := l.process(ctx, url, program, append(args, "--dir", h.folder)...)
		return u.Bytes / 1e6, err
	}
}

// connectOnly is the time of the program that only connects and reads.
func (l *lab) connectOnly(ctx context.Context, url string, _ history) (float64, error) {
	u, err := l.process(ctx, url, "bench/connectonly")
	return u.Milliseconds, err
}
