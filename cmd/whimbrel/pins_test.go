package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What names an action or an image of others, in workflows, pipelines, manifests and Dockerfiles.
var foreignProgram = regexp.MustCompile(`(?m)^\s*-?\s*(?:uses:|image:|FROM)\s+(\S+)`)

// A digest of a commit or of an image. A tag can be moved to another one, a digest cannot.
var pinned = regexp.MustCompile(`@(?:[0-9a-f]{40}|sha256:[0-9a-f]{64})$`)

// unpinned gives the actions and images of a text that have no digest, except those that a template fills in.
func unpinned(text string) (names []string) {
	for _, match := range foreignProgram.FindAllStringSubmatch(text, -1) {
		name := strings.Trim(match[1], `"'`)
		if !pinned.MatchString(name) && !strings.Contains(match[0], "{{") {
			names = append(names, name)
		}
	}
	return names
}

func TestWhatIsUnpinnedIsSeen(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0a", 20)
	require.Equal(t, []string{"actions/checkout@v4", "golang:1.26", "postgres", "actions/cache@0a0a"}, unpinned(
		"    - uses: actions/checkout@v4\n      uses: actions/checkout@"+digest+" # v4\nFROM golang:1.26 AS build\n"+
			"FROM golang@sha256:"+digest+strings.Repeat("0a", 12)+"\n  image: \"postgres\"\n"+
			"  image: \"{{ .Values.image }}\"\n- uses: actions/cache@0a0a\n"))
}

func TestProgramsOfOthersArePinnedOrOnTheChecklistOfARelease(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	found := map[string]bool{}
	for _, place := range []string{"action.yml", "deploy", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // there need not be workflows of our own
			}
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range unpinned(string(text)) {
				found[name] = true
			}
			return err
		})
		require.NoError(t, err)
	}
	listed := map[string]bool{}
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	require.NoError(t, err)
	_, checklist, _ := strings.Cut(string(text), "**A release.**")
	checklist, _, _ = strings.Cut(checklist, "\n## ")
	for _, line := range strings.Split(checklist, "\n") {
		names, _, item := strings.Cut(strings.TrimPrefix(line, "- "), "`: ")
		if !item || !strings.HasPrefix(line, "- ") {
			continue
		}
		for _, name := range strings.Split(names, "`, `") {
			listed[strings.Trim(name, "`")] = true
		}
	}
	require.Equal(t, listed, found)
}

func TestNoCheckoutLeavesItsTokenBehind(t *testing.T) {
	t.Parallel()
	var w struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string
				With map[string]any
			}
		}
	}
	readYAML(t, "deploy/github/migrations.yml", &w)
	checkouts := 0
	for _, job := range w.Jobs {
		for _, step := range job.Steps {
			if strings.HasPrefix(step.Uses, "actions/checkout@") {
				checkouts++
				require.Equal(t, false, step.With["persist-credentials"])
			}
		}
	}
	require.Equal(t, 2, checkouts)
}
