package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/migration"
)

// lab is what measuring needs: throw-away servers, a temporary folder, and
// what was made in them for several measurements. One goroutine uses it.
type lab struct {
	server    *devdb.Server
	folder    string
	histories map[int]history
	migrated  map[int]string    // names of databases, by the migrations applied
	programs  map[string]string // paths, by the package
	stocks    []*stock
}

// history is a folder of small migrations.
type history struct {
	folder     string
	migrations []migration.Migration
}

func open(ctx context.Context) (*lab, error) {
	folder, err := os.MkdirTemp("", "whimbrel-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	server, err := devdb.Start(ctx, devdb.Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return &lab{server: server, folder: folder, histories: map[int]history{}, migrated: map[int]string{},
		programs: map[string]string{}, stocks: stocks()}, nil
}

func (l *lab) close() error {
	err := errors.Join(l.server.Stop(), os.RemoveAll(l.folder))
	for _, s := range l.stocks {
		err = errors.Join(err, s.close())
	}
	return err
}

// history gives n small migrations, which make a table with a key each and are
// short enough that everything around them shows.
func (l *lab) history(n int) (history, error) {
	if h, made := l.histories[n]; made {
		return h, nil
	}
	h := history{folder: filepath.Join(l.folder, fmt.Sprintf("migrations-%d", n))}
	if err := os.Mkdir(h.folder, 0o755); err != nil {
		return h, fmt.Errorf("writing migrations: %w", err)
	}
	for i := range n {
		text := fmt.Sprintf("CREATE TABLE table_%d (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT "+
			"now());\n"+
			"-- +migrate Down\nDROP TABLE table_%d;\n", i, i)
		if err := os.WriteFile(filepath.Join(h.folder, fmt.Sprintf("%06d_table.sql", i+1)), []byte(text), 0o644); err != nil {
			return h, fmt.Errorf("writing migrations: %w", err)
		}
	}
	var err error
	h.migrations, err = migration.Load(migration.Source{FS: os.DirFS(h.folder)})
	l.histories[n] = h
	return h, err
}

// work is something that is measured on a database of its own.
type work func(ctx context.Context, url string, h history) (float64, error)

// onFresh is a side that works on an empty database with n migrations before it.
func (l *lab) onFresh(name string, n int, do work) *side {
	return &side{name, func(ctx context.Context) (float64, error) {
		h, err := l.history(n)
		if err != nil {
			return 0, err
		}
		url, drop, err := l.server.FreshDatabase(ctx)
		if err != nil {
			return 0, err
		}
		defer drop()
		return do(ctx, url, h)
	}}
}

// onMigrated is a side that works on a database on which whimbrel has applied n
// migrations: a copy of its own, or one for all who only read.
func (l *lab) onMigrated(name string, n int, reads bool, do work) *side {
	return &side{name, func(ctx context.Context) (float64, error) {
		h, err := l.history(n)
		if err != nil {
			return 0, err
		}
		database, err := l.template(ctx, n, h)
		if err != nil {
			return 0, err
		}
		if reads {
			return do(ctx, l.server.URL(database), h)
		}
		copied := database + "_copy"
		if err := l.server.CreateDatabase(ctx, copied, database); err != nil {
			return 0, err
		}
		figure, err := do(ctx, l.server.URL(copied), h)
		return figure, errors.Join(err, l.server.DropDatabase(ctx, copied))
	}}
}

func (l *lab) template(ctx context.Context, n int, h history) (string, error) {
	if name, made := l.migrated[n]; made {
		return name, nil
	}
	name := fmt.Sprintf("migrated_%d", n)
	if err := l.server.CreateDatabase(ctx, name, "template0"); err != nil {
		return "", err
	}
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: l.server.URL(name)},
		Project: whimbrel.Project{Migrations: h.migrations}})
	if err != nil {
		return "", err
	}
	if _, err := m.Up(ctx, whimbrel.UpOptions{}); err != nil {
		return "", err
	}
	l.migrated[n] = name
	return name, nil
}

// over does the work over a network with that round-trip time.
func over(roundTrip time.Duration, do work) work {
	return func(ctx context.Context, url string, h history) (figure float64, err error) {
		proxy, through, err := faults.InFrontOf(url)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, proxy.Close()) }()
		proxy.Delay(roundTrip / 2)
		return do(ctx, through, h)
	}
}

// timed gives how many milliseconds something takes.
func timed(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return time.Since(began).Seconds() * 1000, err
}

// lean is the name of whimbrel's build without what most runs do without.
const lean = "lean"

// program builds one of this module's commands, as a release would be built, and
// installs it as tar unpacks an archive, in small pieces. In how large ones a file was
// written decides how much of it the kernel maps at once, and counts as resident: of
// the same program 25 MB when it starts, or 45 after pieces of 1 MB.
func (l *lab) program(ctx context.Context, name string) (string, error) {
	if path, built := l.programs[name]; built {
		return path, nil
	}
	key, path := name, filepath.Join(l.folder, filepath.Base(name))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	tags := ""
	if name == lean {
		name, tags = "cmd/whimbrel", "lean"
	}
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-tags", tags,
		"-o", path+".linked", "github.com/whimbrel-db/whimbrel/"+name)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, strings.TrimSpace(string(said)))
	}
	if err := install(path+".linked", path); err != nil {
		return "", fmt.Errorf("installing %s: %w", name, err)
	}
	l.programs[key] = path
	return path, nil
}

// install copies a program in pieces of 32 KiB. The file system is not asked to copy
// by itself, which io.Copy would do.
func install(from, to string) error {
	linked, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = linked.Close() }()
	installed, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{installed}, struct{ io.Reader }{linked})
	return errors.Join(err, installed.Close())
}
