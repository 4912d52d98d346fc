//go:build unix

package devdb

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watchdog waits on a pipe of which we hold the other end. A word means that the server is gone or was stopped in good
// order; the end of the pipe without a word means that we are dead, and then the server gets PostgreSQL's immediate
// shutdown.
const watchdog = `read -r word || kill -QUIT "$1" 2>/dev/null`

// watch is for systems whose kernel cannot end a process together with its parent. Its caller must release it when the
// process has ended, before the process's number can be given to another one.
func watch(pid int) (release func(), err error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the watchdog of process %d: %w", pid, err)
	}
	command := exec.Command("/bin/sh", "-c", watchdog, "sh", strconv.Itoa(pid))
	command.Stdin = theirs
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = command.Start()
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("starting the watchdog of process %d: %w", pid, err)
	}
	return func() {
		_, _ = ours.WriteString("released\n")
		_ = ours.Close()
		_ = command.Wait()
	}, nil
}
