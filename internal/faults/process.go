//go:build linux

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server program that we started. The kernel ends it when this
// process ends, whatever happens to it.
type process struct {
	command *exec.Cmd
	output  output
	done    chan struct{} // closed when it has ended and was waited for
	err     error         // how it ended; to be read after done
}

// output keeps what a program says, for error messages.
type output struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return strings.TrimSpace(o.text.String())
}

// launch starts a program as an account. Its goroutine keeps one operating
// system thread, since the kernel ends the program together with the thread
// that started it; see PR_SET_PDEATHSIG in prctl(2).
func launch(command *exec.Cmd, as account) (*process, error) {
	p := &process{command: command, done: make(chan struct{})}
	command.Dir, command.Env = "/", cleanEnvironment()
	command.Stdout, command.Stderr = &p.output, &p.output
	command.SysProcAttr = as.attributes()
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			p.err = command.Wait()
		}
	}()
	return p, <-started
}

// run runs a program to its end.
func run(command *exec.Cmd, as account) error {
	p, err := launch(command, as)
	if err == nil {
		<-p.done
		err = p.err
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command.Path, err, &p.output)
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks the program to end, and makes it end when it does not.
func (p *process) stop(with syscall.Signal) error {
	for _, signal := range []syscall.Signal{with, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(5 * time.Second):
		}
	}
	return fmt.Errorf("%s cannot be ended", p.command.Path)
}

// account is who runs a program. The zero value is anyone who runs this one.
// Neither PgBouncer nor PostgreSQL let themselves be run by root.
type account struct {
	uid, gid  int
	namespace bool // only inside a user namespace; on the outside it stays root
}

// unprivileged is an account for programs that root must not run.
func unprivileged() (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(found.Uid)
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(found.Gid)
		if err == nil {
			return account{uid: uid, gid: gid}, nil
		}
	}
	return account{}, errors.New("root may not run this program, and there is neither an account postgres nor an " +
		"account nobody")
}

// ownerOf is the account that a server runs as, by the owner of its files. When
// they are root's, it runs in a user namespace.
func ownerOf(folder string) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return account{}, err
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, fmt.Errorf("the owner of %s is not known", folder)
	}
	if status.Uid != 0 {
		return account{uid: int(status.Uid), gid: int(status.Gid)}, nil
	}
	inside, err := unprivileged()
	inside.namespace = true
	return inside, err
}

func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	switch {
	case a.namespace:
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: a.uid, HostID: 0, Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: a.gid, HostID: 0, Size: 1}}
	case a.uid != 0:
		attributes.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attributes
}

// folder makes a temporary folder that only the account can enter.
func (a account) folder() (string, error) {
	path, err := os.MkdirTemp("/tmp", "faults") // short, as the path of a socket must be
	if err != nil {
		return "", err
	}
	if a.uid == 0 || a.namespace {
		return path, nil
	}
	return path, os.Chown(path, a.uid, a.gid)
}

// cleanEnvironment leaves out what would make the programs behave differently
// from machine to machine.
func cleanEnvironment() []string {
	var list []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG=") {
			list = append(list, entry)
		}
	}
	return append(list, "LC_ALL=C")
}
