// Package git asks git what has changed in a repository.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Error is what git said, and what to do about it.
type Error struct{ Message, Remedy string }

func (e *Error) Error() string { return e.Message }

// Output runs git in a folder and gives what it printed.
func Output(ctx context.Context, folder string, arguments ...string) (string, error) {
	return answer(ctx, folder, "", arguments...)
}

// answer does as Output does, with a text that git reads.
func answer(ctx context.Context, folder, input string, arguments ...string) (string, error) {
	if err := planted(folder); err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir, command.Stdin = folder, strings.NewReader(input)
	command.Env = append(os.Environ(), "LC_ALL=C") // what it says is read
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	err := command.Run()
	switch {
	case err == nil:
		return output.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", &Error{"git is not installed", "install git, or name the migrations in another way"}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", &Error{"git cannot be run: " + err.Error(), "let git be run here, or name the migrations in another way"}
	}
	switch {
	case strings.Contains(first, "dubious ownership"):
		return "", &Error{
			"git cannot say what has changed, since another account owns the repository: " + first,
			"run as its owner, or let git trust it: git config --global --add safe.directory FOLDER",
		}
	case strings.Contains(first, "not a git repository"):
		return "", &Error{"git cannot say what has changed: " + first,
			"run it in a clone, with its .git, or name the migrations in another way"}
	}
	return "", &Error{"git cannot say what has changed: " + first, "name a branch, a tag or a commit of the repository " +
		"that the migrations are in"}
}

// planted refuses a folder in which git would find another repository than the one whose
// .git lies above: of files that a change has brought in, as HEAD and objects, git makes a
// repository without a worktree, and runs programs that its "config" names. Git itself
// looks away with safe.bareRepository=explicit, but only since 2.38.
func planted(folder string) error {
	at, err := filepath.EvalSymlinks(folder)
	if err != nil || os.Getenv("GIT_DIR") != "" {
		return nil // git has the words for it, or looks nowhere
	}
	for {
		if exists(at, ".git") {
			return nil
		}
		if exists(at, "HEAD") && (exists(at, "objects") || exists(at, "commondir")) {
			return &Error{
				at + " holds what git takes for a repository, whose settings name programs to run",
				"remove HEAD, objects, refs and commondir from that folder",
			}
		}
		above := filepath.Dir(at)
		if above == at {
			return nil
		}
		at = above
	}
}

func exists(folder, name string) bool {
	_, err := os.Lstat(filepath.Join(folder, name))
	return err == nil
}

// ChangedNames gives the names of the files of a repository that differ from a
// revision, without their folders: committed or not, and those that git does not know
// yet. folder is anywhere in the repository.
func ChangedNames(ctx context.Context, folder, revision string) (map[string]bool, error) {
	paths, _, err := changedPaths(ctx, folder, revision)
	changed := map[string]bool{}
	for name := range paths {
		changed[path.Base(name)] = true
	}
	return changed, err
}

// changedPaths are the paths of those files from the root of the repository.
func changedPaths(ctx context.Context, folder, revision string) (paths map[string]bool, root string, err error) {
	if revision, err = commitish(ctx, folder, revision); err != nil {
		return nil, "", err
	}
	if root, err = Root(ctx, folder); err != nil {
		return nil, "", err
	}
	tracked, err := differing(ctx, root, revision)
	if err != nil {
		return nil, "", err
	}
	unknown, err := Output(ctx, root, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return nil, "", err
	}
	paths = map[string]bool{}
	for name := range strings.SplitSeq(unknown, "\x00") {
		if name != "" {
			paths[name] = true
		}
	}
	for _, name := range tracked {
		paths[name] = true
	}
	return paths, root, nil
}

// byText has files compared by their texts, of whatever kind a change says that they are,
// in which no line end counts.
var byText = []string{"diff", "--text", "--no-textconv", "--no-ext-diff", "--no-color", "--no-renames",
	"--ignore-cr-at-eol"}

// differing are the paths of the known files whose texts are not as they were.
func differing(ctx context.Context, folder, revision string, more ...string) (paths []string, err error) {
	// With --name-only, git would not look into the files.
	listed, err := Output(ctx, folder, slices.Concat(byText, []string{"--numstat", "-z"}, more, []string{revision, "--",
		"."})...)
	for entry := range strings.SplitSeq(listed, "\x00") { // lines added and removed, and the path
		fields := strings.SplitN(entry, "\t", 3)
		if len(fields) < 3 {
			continue
		}
		if fields[0] == "-" { // of what is called no text, the lines are not counted
			text, err := lineByLine(ctx, folder, revision, more, fields[2])
			if err != nil {
				return nil, err
			}
			if !strings.Contains(text, "\n@@ ") {
				continue
			}
		}
		paths = append(paths, fields[2])
	}
	return paths, err
}

// lineByLine is the unified diff of one file, without context.
func lineByLine(ctx context.Context, folder, revision string, more []string, name string) (string, error) {
	return Output(ctx, folder, slices.Concat(byText, []string{"-U0"}, more, []string{revision, "--", ":(literal)" +
		name})...)
}

// Root gives the folder of the repository that a folder lies in, without links in its path.
func Root(ctx context.Context, folder string) (string, error) {
	root, err := Output(ctx, folder, "rev-parse", "--show-toplevel")
	return strings.TrimRight(root, "\r\n"), err
}

// File gives the text that a file had at a revision. Its name is a path from the root,
// with slashes. Links are followed as long as they stay in the repository; what one has
// that leads out of it, the revision does not say, as if it were not there.
func File(ctx context.Context, folder, revision, name string) (text []byte, found bool, err error) {
	head, content, err := object(ctx, folder, revision, name, "--batch")
	if err != nil || head.kind != "blob" || head.size > len(content) {
		return nil, false, err
	}
	return []byte(content[:head.size]), true, nil
}

// Folder identifies what a folder held at a revision, and is "" where there was none. Its
// name is as that of a File is, and so are links.
func Folder(ctx context.Context, folder, revision, name string) (identity string, err error) {
	head, _, err := object(ctx, folder, revision, name, "--batch-check")
	if head.kind != "tree" {
		return "", err
	}
	return head.identity, err
}

// heading is what git says of an object.
type heading struct {
	identity, kind string // kind is "" where there is no object
	size           int
}

func object(ctx context.Context, folder, revision, name, how string) (head heading, content string, err error) {
	if revision, err = commitish(ctx, folder, revision); err != nil {
		return head, "", err
	}
	if strings.Contains(name, "\n") {
		return head, "", nil // git would take it for two names
	}
	said, err := answer(ctx, folder, revision+":"+name+"\n", "cat-file", how, "--follow-symlinks")
	if err != nil {
		return head, "", err
	}
	line, content, _ := strings.Cut(said, "\n")
	fields := strings.Fields(line) // the name of the object, its type, its size
	if len(fields) != 3 {
		return head, "", nil
	}
	if head.size, err = strconv.Atoi(fields[2]); err != nil {
		return heading{}, "", nil
	}
	head.identity, head.kind = fields[0], fields[1]
	return head, content, nil
}

// Ignored reports whether a file, by its path, is one that git is told not to know, and
// does not know. A system that does not tell case finds it under any spelling.
func Ignored(ctx context.Context, folder, name string) (bool, error) {
	known, err := Output(ctx, folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--",
		":(literal,icase)"+name)
	return known == "", err
}

// MergeBase gives the commit at which the present one branched off from a revision.
func MergeBase(ctx context.Context, folder, revision string) (string, error) {
	named := revision
	revision, err := commitish(ctx, folder, revision)
	if err != nil {
		return "", err
	}
	commit, err := Output(ctx, folder, "merge-base", revision, "HEAD")
	var said *Error
	if errors.As(err, &said) && strings.HasSuffix(said.Message, ": ") {
		return "", &Error{
			fmt.Sprintf("git knows no commit that %s and HEAD have in common", named),
			"fetch the whole history, as with fetch-depth: 0 of actions/checkout",
		}
	}
	return strings.TrimSpace(commit), err
}

// Names gives the names of the files that lie in a folder at a revision.
func Names(ctx context.Context, folder, revision string) ([]string, error) {
	revision, err := commitish(ctx, folder, revision)
	if err != nil {
		return nil, err
	}
	listed, err := Output(ctx, folder, "ls-tree", "--name-only", "-z", revision, "./")
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(listed, "\x00") {
		if name != "" {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// Change is a file of a folder that is not as it was at a revision.
type Change struct {
	Name    string
	Deleted bool
	Line    int // the first that differs; 0 where it is gone
}

// Changes gives the files that were in a folder at a revision and were changed or
// deleted since, committed or not.
func Changes(ctx context.Context, folder, revision string) ([]Change, error) {
	revision, err := commitish(ctx, folder, revision)
	if err != nil {
		return nil, err
	}
	changed, err := differing(ctx, folder, revision, "--diff-filter=MT", "--relative")
	if err != nil {
		return nil, err
	}
	listed, err := Output(ctx, folder, "diff", "--name-only", "--no-renames", "--diff-filter=D", "--relative", "-z",
		revision, "--", ".")
	if err != nil {
		return nil, err
	}
	var changes []Change
	for name := range strings.SplitSeq(listed, "\x00") {
		if name != "" {
			changes = append(changes, Change{Name: name, Deleted: true})
		}
	}
	for _, name := range changed {
		text, err := lineByLine(ctx, folder, revision, []string{"--relative"}, name)
		if err != nil {
			return nil, err
		}
		changes = append(changes, Change{Name: name, Line: firstLine(text)})
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	linked, err := linkedChanges(ctx, folder, revision)
	for _, name := range linked {
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Name == name }) {
			changes = append(changes, Change{Name: name, Line: 1})
		}
	}
	return changes, err
}

// linkedChanges are the names of the links in a folder that lead to another text than they
// did, whether they are as they were or not.
func linkedChanges(ctx context.Context, folder, revision string) (names []string, err error) {
	links, err := linksIn(folder)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	changed, root, err := changedPaths(ctx, folder, revision)
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		name, err := fromRoot(root, filepath.Dir(filepath.Join(folder, link)))
		if err != nil {
			return nil, err
		}
		target, err := fromRoot(root, filepath.Join(folder, link))
		if err != nil {
			continue // it leads nowhere
		}
		was, _, err := object(ctx, root, revision, path.Join(name, filepath.Base(link)), "--batch-check")
		if err != nil {
			return nil, err
		}
		is, _, err := object(ctx, root, revision, target, "--batch-check")
		if err != nil {
			return nil, err
		}
		if was.kind == "blob" && (changed[target] || was != is) {
			names = append(names, filepath.ToSlash(link))
		}
	}
	return names, nil
}

func linksIn(folder string) (links []string, err error) {
	err = filepath.WalkDir(folder+string(filepath.Separator), func(at string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			if at, err = filepath.Rel(folder, at); err == nil {
				links = append(links, at)
			}
		}
		return err
	})
	return links, err
}

// fromRoot is the path of what a file leads to, from the root of the repository.
func fromRoot(root, name string) (string, error) {
	target, err := filepath.EvalSymlinks(name)
	if err == nil {
		target, err = filepath.Rel(root, target)
	}
	return filepath.ToSlash(target), err
}

// firstLine reads from a unified diff without context where its first hunk lies in
// the new file.
func firstLine(diff string) int {
	for line := range strings.Lines(diff) {
		if !strings.HasPrefix(line, "@@ ") {
			continue
		}
		_, after, _ := strings.Cut(line, " +")
		digits := strings.FieldsFunc(after, func(r rune) bool { return r < '0' || r > '9' })
		if len(digits) == 0 {
			break
		}
		n, _ := strconv.Atoi(digits[0])
		return max(n, 1)
	}
	return 1
}

// namesCommit are the revisions that git looks up by themselves, without a choice.
var namesCommit = plaintext.Pattern(`^([0-9a-f]{40}|[0-9a-f]{64}|[A-Z_]*HEAD|@|(refs|heads|tags|remotes)/.*)$`)

// commitish is a revision as git is asked for it. Of a name that several have, git would
// take the tag; a change goes into a branch, and the branch of a remote is what the others
// have: who may push a tag does not choose what is compared with.
func commitish(ctx context.Context, folder, revision string) (string, error) {
	if revision == "" || strings.HasPrefix(revision, "-") {
		return "", &Error{fmt.Sprintf("invalid revision %q", revision), "name a branch, a tag or a commit"}
	}
	name, after := revision, ""
	for _, suffix := range []string{"~", "^", "@{", ":"} {
		if at := strings.Index(name, suffix); at > 0 {
			name, after = name[:at], name[at:]+after
		}
	}
	if namesCommit().MatchString(name) {
		return revision, nil
	}
	known, err := Output(ctx, folder, "for-each-ref", "--format=%(refname)", "refs/remotes/"+name, "refs/heads/"+name)
	if err != nil {
		return "", err
	}
	for _, kind := range []string{"refs/remotes/", "refs/heads/"} {
		if strings.Contains("\n"+known, "\n"+kind+name+"\n") {
			return kind + name + after, nil
		}
	}
	return revision, nil
}
