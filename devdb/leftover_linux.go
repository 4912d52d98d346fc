package devdb

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What runs behind walls cannot run programs, but native code that SQL has brought in can fork, and such a child
// outlives its server. So, while it has servers behind walls, this process takes in orphans (see
// PR_SET_CHILD_SUBREAPER in prctl(2)), and ends those of a server when that has ended: an orphan cannot choose another
// parent.

// ours are the main processes of this process's servers, and whatever else it has started itself. The kernel keeps one
// table of children for a whole process, so this is one, too.
var ours = struct {
	sync.RWMutex // held for reading while a program is started and entered, for writing while orphans are looked for
	mutex        sync.Mutex
	running      map[int]bool
	walled       int  // servers behind walls
	reaper       bool // whether this process took in orphans before there was one of these
}{running: map[int]bool{}}

// adoptOrphans has the orphans of servers become children of this process, until endOurs is called for the server that
// begins now. Only until then, since orphans come that are no server's, for which nobody here would wait.
func adoptOrphans() error {
	ours.mutex.Lock()
	defer ours.mutex.Unlock()
	ours.walled++
	if ours.walled == 1 {
		var before int32
		err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&before)), 0, 0, 0)
		ours.reaper = err == nil && before != 0
	}
	return takeInOrphans(true)
}

func releaseOrphans() {
	ours.mutex.Lock()
	defer ours.mutex.Unlock()
	ours.walled--
	if ours.walled == 0 && !ours.reaper {
		_ = takeInOrphans(false)
	}
}

func takeInOrphans(taken bool) error {
	value := uintptr(0)
	if taken {
		value = 1
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, value, 0, 0, 0); err != nil {
		return fmt.Errorf("confining the server: taking in its orphans: %w", err)
	}
	return nil
}

// startOurs starts a program without its being taken for an orphan.
func startOurs(command *exec.Cmd) error {
	ours.RLock()
	defer ours.RUnlock()
	if err := command.Start(); err != nil {
		return err
	}
	ours.mutex.Lock()
	defer ours.mutex.Unlock()
	ours.running[command.Process.Pid] = true
	return nil
}

// endOurs is told that a program has ended and was waited for. If it ran behind walls, it returns when nothing is left
// of what it had started.
func endOurs(pid int, walls *confinement) {
	ours.Lock()
	defer ours.Unlock()
	delete(ours.running, pid)
	if !walls.any() {
		return
	}
	defer releaseOrphans()
	// while a thread ends, its children go over to another, whose list may have been read already
	for empty := 0; empty < 2; empty++ {
		for _, pid := range orphans(walls.programs) { // its children become ours, and are found in the next round
			_ = unix.Kill(pid, unix.SIGKILL)
			reap(pid)
			empty = -1
		}
	}
}

// reap waits for a process that was killed. A signal to us may interrupt that.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// orphans lists our children that run behind walls and are no server's main process: they gave up new privileges for
// good, and run the server's program, one that they hide, or one that only memory has, of which Landlock knows nothing.
func orphans(programs []string) []int {
	var found []int
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range lists {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(content)) {
			pid, err := strconv.Atoi(field)
			if err == nil && !ours.running[pid] && runsBehindWalls(pid, programs) {
				found = append(found, pid)
			}
		}
	}
	return found
}

func runsBehindWalls(pid int, programs []string) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || !strings.Contains(string(status), "\nNoNewPrivs:\t1\n") {
		return false
	}
	if strings.Contains(string(status), "\nState:\tZ") {
		return strings.HasPrefix(string(status), "Name:\t"+filepath.Base(programs[0])+"\n")
	}
	running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err != nil || strings.HasPrefix(running, "/memfd:") || slices.Contains(programs, strings.TrimSuffix(running,
		" (deleted)"))
}
