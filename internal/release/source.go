package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/git"
)

// source is what a release is made of: the checkout of a commit.
type source struct {
	root   string // of the repository
	commit string
	date   time.Time // of the commit; all files get it
	edited []string  // what is not as the commit has it
}

// findSource asks git about the repository of a folder.
func findSource(ctx context.Context, folder string) (source, error) {
	s := source{}
	for _, question := range []struct {
		arguments []string
		take      func(answer string) error
	}{
		{[]string{"rev-parse", "--show-toplevel"}, func(answer string) error { s.root = answer; return nil }},
		{[]string{"show", "--no-patch", "--format=%H %ct", "HEAD"}, s.takeCommit},
		{[]string{"status", "--porcelain"}, func(answer string) error {
			if answer != "" {
				s.edited = strings.Split(answer, "\n")
			}
			return nil
		}},
	} {
		answer, err := git.Output(ctx, folder, question.arguments...)
		if err != nil {
			return s, fmt.Errorf("a release is made of a commit in a checkout with git: %w", err)
		}
		if err := question.take(strings.TrimRight(answer, "\r\n")); err != nil {
			return s, err
		}
	}
	return s, nil
}

// takeCommit reads a commit and the seconds of its date.
func (s *source) takeCommit(answer string) error {
	commit, seconds, _ := strings.Cut(answer, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("the date of the commit: %w", err)
	}
	s.commit, s.date = commit, time.Unix(n, 0).UTC()
	return nil
}

// check refuses what nobody could build again.
func (s source) check(allowEdited bool) error {
	if len(s.edited) == 0 || allowEdited {
		return nil
	}
	return fmt.Errorf("the checkout is not as its commit has it, and nobody could build this release again:\n  %s\n"+
		"commit that or put it away; --allow-dirty builds it for a trial", strings.Join(s.edited, "\n  "))
}
