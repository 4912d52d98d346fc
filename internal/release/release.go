package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// platform is what a program runs on, in Go's words.
type platform struct{ system, architecture string }

var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows",
		"arm64"},
}

// build is a program that is released.
type build struct{ name, tags string }

var (
	whole = build{"whimbrel", ""}
	lean  = build{"whimbrel-lean", "lean"}
)

// archiveName is the name of an archive, and of the folder in it, without what says
// the format.
func (b build) archiveName(version string, p platform) string {
	return strings.Join([]string{b.name, version, p.system, p.architecture}, "_")
}

// release is what is made of a commit.
type release struct {
	version  string
	source   source
	out      string
	progress io.Writer
}

// checksums is the file that is written last: where it is, the release is whole.
const checksums = "SHA256SUMS"

// make builds all files of the release.
func (r release) make(ctx context.Context) error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(r.out, checksums)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	scratch, err := os.MkdirTemp("", "whimbrel-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	shared, err := r.shared(ctx, scratch)
	if err != nil {
		return err
	}
	var written []file
	for _, p := range platforms {
		for _, b := range []build{whole, lean} {
			files, err := r.pack(ctx, b, p, shared, scratch)
			if err != nil {
				return fmt.Errorf("%s for %s on %s: %w", b.name, p.system, p.architecture, err)
			}
			written = append(written, files...)
		}
	}
	return os.WriteFile(filepath.Join(r.out, checksums), []byte(sumsOf(written)), 0o644)
}

// pack compiles a program for a platform, and writes its archive, and its package
// where there is one.
func (r release) pack(ctx context.Context, b build, p platform, shared []file, scratch string) ([]file, error) {
	begun := time.Now()
	program, err := r.compile(ctx, b, p, scratch)
	if err != nil {
		return nil, err
	}
	files := append([]file{program}, shared...)
	name := b.archiveName(r.version, p)
	archive := file{name: name + ".tar.gz"}
	if p.system == "windows" {
		archive.name = name + ".zip"
		archive.text, err = zipped(below(name, files), r.source.date)
	} else {
		archive.text, err = tarGz(below(name, files), r.source.date)
	}
	if err != nil {
		return nil, err
	}
	made := []file{archive}
	if p.system == "linux" && b == whole {
		deb := file{name: fmt.Sprintf("whimbrel_%s_%s.deb", debianVersion(r.version), p.architecture)}
		if deb.text, err = debianPackage(files, r.version, p.architecture, r.source.date); err != nil {
			return nil, err
		}
		made = append(made, deb)
	}
	for _, f := range made {
		if err := os.WriteFile(filepath.Join(r.out, f.name), f.text, 0o644); err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(r.progress, "%-50s %5.1f MB  %s\n", f.name, float64(len(f.text))/1e6,
			time.Since(begun).Round(time.Second))
	}
	return made, nil
}

// compile builds a program for a platform.
func (r release) compile(ctx context.Context, b build, p platform, scratch string) (file, error) {
	program := file{name: "whimbrel", executable: true}
	if p.system == "windows" {
		program.name += ".exe"
	}
	path := filepath.Join(scratch, program.name)
	err := r.goTool(ctx, p, "build", "-buildvcs=false", "-tags", b.tags, "-ldflags", r.linked(), "-o", path,
		"./cmd/whimbrel")
	if err != nil {
		return program, err
	}
	program.text, err = os.ReadFile(path)
	return program, err
}

// linked is what the linker is told about a program.
func (r release) linked() string {
	return fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.date=%s", r.version, r.source.commit,
		r.source.dated())
}

// goTool runs the go command for a platform; an empty one is this machine. What the
// environment and `go env -w` say about builds does not count: it would be in the files.
func (r release) goTool(ctx context.Context, p platform, arguments ...string) error {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = r.source.root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFIPS140=off",
		"GOOS="+p.system, "GOARCH="+p.architecture)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", arguments[0], err, said)
	}
	return nil
}

// shared gives the files that all archives have: completions, the manual, and what
// is to be read.
func (r release) shared(ctx context.Context, scratch string) ([]file, error) {
	err := r.goTool(ctx, platform{}, "run", "-buildvcs=false", "-ldflags", r.linked(), "./cmd/whimbrel", "manual", scratch)
	if err != nil {
		return nil, fmt.Errorf("the manual: %w", err)
	}
	files, err := readTree(os.DirFS(scratch))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(r.source.root, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: name, text: text})
	}
	return files, nil
}

// dated is the commit's date as text.
func (s source) dated() string { return s.date.Format(time.RFC3339) }

// readTree gives all files of a folder.
func readTree(tree fs.FS) (files []file, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		files = append(files, file{name: name, text: text})
		return err
	})
	return files, err
}

// sumsOf writes checksums as sha256sum reads them.
func sumsOf(files []file) string {
	var b strings.Builder
	for _, f := range sorted(files) {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(f.text), f.name)
	}
	return b.String()
}
