// Command release builds all files of a release of whimbrel: archives of the whole
// and of the lean program for all platforms, Debian packages, and checksums.
//
//	go run ./internal/release --version v0.1.0 --out dist
//
// The files depend on the commit, the version and the version of Go, and on nothing
// else: anyone who builds them again gets the same, bit by bit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	_, _ = fmt.Fprintln(os.Stderr, "release:", err)
	os.Exit(1)
}

// run builds a release in the repository of the working folder, and tells of its
// progress. An interrupt ends it.
func run(ctx context.Context, args []string, progress io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(progress)
	version := flags.String("version", "", "the `VERSION` of the release, as v0.1.0")
	out := flags.String("out", "dist", "the `FOLDER` for the files")
	allowDirty := flags.Bool("allow-dirty", false, "build what is not committed, too: a trial and no release")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: see --help", flags.Arg(0))
	}
	if err := checkVersion(*version); err != nil {
		return err
	}
	from, err := findSource(ctx, ".")
	if err != nil {
		return err
	}
	if err := from.check(*allowDirty); err != nil {
		return err
	}
	return release{version: *version, source: from, out: *out, progress: progress}.make(ctx)
}

// versionForm is that of a semantic version, as Go's modules have it; without what
// would belong to no release.
var versionForm = regexp.MustCompile(
	`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$`)

func checkVersion(version string) error {
	switch {
	case version == "":
		return errors.New("which version? Write --version v0.1.0")
	case !versionForm.MatchString(version):
		return fmt.Errorf("invalid version of a release %q: write it as v0.1.0 or v0.1.0-rc.1", version)
	}
	return nil
}
