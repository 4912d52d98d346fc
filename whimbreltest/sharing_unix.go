//go:build unix

package whimbreltest

import (
	"context"
	_ "embed" // for the caretaker
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// settings trade what nobody needs of a server that never outlives a crash of the machine for speed. A crash of its own
// loses nothing that was committed. Many test binaries may connect at once. A small log saves memory.
var settings = []string{
	"fsync = off", "full_page_writes = off", "synchronous_commit = on", "autovacuum = off",
	"max_connections = 500", "shared_buffers = '64MB'", "max_wal_size = '128MB'", "log_checkpoints = off",
}

// open gives a server that runs, or starts one. As long as the visit lasts, the
// server does not end.
func (s sharing) open(ctx context.Context, major int, progress func(string)) (url string, visit visit, err error) {
	home, err := s.home(major)
	if err != nil {
		return "", nil, fmt.Errorf("finding a place for the server that tests share: %w", err)
	}
	options := devdb.ProjectOptions{Major: major, Progress: progress}
	guest, err := s.enter(home)
	if guest == nil && err == nil {
		guest, err = s.found(ctx, home, options)
	}
	if err != nil {
		return "", nil, err
	}
	// It is started again if it has crashed.
	url, err = devdb.OpenProject(guest.folder, options).URL(ctx, "postgres")
	if err != nil {
		guest.leave()
		return "", nil, err
	}
	return url, guest, nil
}

// visitor holds the pipe of a server open.
type visitor struct {
	folder string
	pipe   *os.File
	stays  time.Duration
}

func (v *visitor) keep() string {
	v.say("kept")
	return fmt.Sprintf("while its server runs: for %v after the last test", v.stays)
}

func (v *visitor) leave() { _ = v.pipe.Close() }

// say tells the caretaker, and does not wait where the pipe is full: it is while
// the caretaker sleeps for the sake of a kept database, and then is told enough.
func (v *visitor) say(word string) {
	raw, err := v.pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Write(func(pipe uintptr) bool {
		_, _ = syscall.Write(int(pipe), []byte(word+"\n"))
		return true
	})
}

// enter finds a server that runs; nil if there is none.
func (s sharing) enter(home string) (*visitor, error) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		folder := filepath.Join(home, entry.Name())
		pipe, err := hold(filepath.Join(folder, "door"))
		if err != nil {
			continue // it is being made, or ends
		}
		v := &visitor{folder, pipe, s.kept}
		v.say("in")
		return v, nil
	}
	return nil, nil
}

// hold opens a pipe for writing. It fails where nobody reads.
func hold(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
}

// found starts a server in a new folder. One process does; the others wait and
// use the same.
func (s sharing) found(ctx context.Context, home string, options devdb.ProjectOptions) (*visitor, error) {
	unlock, err := lock(ctx, filepath.Join(home, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if v, err := s.enter(home); v != nil || err != nil {
		return v, err
	}
	sweepFolders(ctx, home)
	found, err := devdb.Find(ctx, devdb.FindOptions{Major: options.Major, Progress: options.Progress})
	if err != nil {
		return nil, err
	}
	options.Progress = nil // what is left to tell is of no use to a test
	options.Major = found.Major
	folder, err := os.MkdirTemp(home, "")
	if err != nil {
		return nil, err
	}
	if err := open755(folder); err != nil {
		return nil, err
	}
	pipe, err := s.employ(folder)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting what ends the server when it is no longer needed: %w", err),
			os.RemoveAll(folder))
	}
	v := &visitor{folder, pipe, s.kept}
	if err := start(ctx, folder, options); err != nil {
		v.leave()
		return nil, errors.Join(err, abandon(ctx, folder))
	}
	return v, nil
}

//go:embed caretaker.sh
var caretaker string

// employ starts the caretaker of a folder before there is a server, so that none
// is ever without, and holds its pipe open. The caretaker outlives this process.
func (s sharing) employ(folder string) (*os.File, error) {
	path := filepath.Join(folder, "watch")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	reader, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(reader, false); err != nil { // or the caretaker would not wait
		_ = syscall.Close(reader)
		return nil, err
	}
	theirs := os.NewFile(uintptr(reader), path)
	defer func() { _ = theirs.Close() }()
	ours, err := hold(path)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(folder, "caretaker.sh") // a file, so that anyone who wonders about the process can read it
	if err := os.WriteFile(script, []byte(caretaker), 0o600); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	command := exec.Command("/bin/sh", script, folder, seconds(s.idle), seconds(s.kept))
	command.Stdin, command.Dir = theirs, "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return ours, command.Process.Release()
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// start starts the server in the folder and opens its door.
func start(ctx context.Context, folder string, options devdb.ProjectOptions) error {
	project := devdb.OpenProject(folder, options)
	status, err := project.Start(ctx)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status.DataDir, folder) {
		return fmt.Errorf("%s; name a folder that it can enter with %s", status.Note, folderVariable)
	}
	if err := configure(ctx, project); err != nil {
		return fmt.Errorf("configuring the server that tests share: %w", err)
	}
	if err := project.Stop(ctx); err != nil { // some settings want a restart
		return err
	}
	if _, err := project.Start(ctx); err != nil {
		return err
	}
	return os.Link(filepath.Join(folder, "watch"), filepath.Join(folder, "door"))
}

func configure(ctx context.Context, project *devdb.Project) error {
	url, err := project.URL(ctx, "postgres")
	if err != nil {
		return err
	}
	conn, err := dial.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, setting := range settings {
		if _, err := conn.Exec(ctx, "ALTER SYSTEM SET "+setting); err != nil {
			return err
		}
	}
	return nil
}

// sweepFolders ends servers whose caretaker is gone, which somebody must have
// killed. It is a courtesy; the caller holds the lock, so that no folder is just
// being made.
func sweepFolders(ctx context.Context, home string) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return
	}
	for _, entry := range entries {
		folder := filepath.Join(home, entry.Name())
		pipe, err := hold(filepath.Join(folder, "watch"))
		if err == nil {
			_ = pipe.Close()
			continue
		}
		if entry.IsDir() && (errors.Is(err, syscall.ENXIO) || errors.Is(err, fs.ErrNotExist)) {
			_ = abandon(ctx, folder)
		}
	}
}

// stopping is how long a server may take to end.
const stopping = time.Minute

func abandon(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
	defer cancel()
	if err := devdb.OpenProject(folder, devdb.ProjectOptions{}).Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

// lock takes a lock that ends with this process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another test that starts the server: %w", ctx.Err()), file.Close())
		case <-poll.C:
		}
	}
}
