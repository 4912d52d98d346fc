package devdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmaster is what a running server writes into postmaster.pid of its data folder;
// see https://www.postgresql.org/docs/current/storage-file-layout.html.
type postmaster struct {
	pid     int
	started time.Time
	ready   bool
}

// readPostmaster reads the file. A missing file is os.ErrNotExist; an empty one names the process 0. The folder may
// belong to another account, which could put something else there: a link out of it is not followed, and nobody is
// waited for at a pipe.
func readPostmaster(data string) (postmaster, error) {
	path := filepath.Join(data, "postmaster.pid")
	root, err := os.OpenRoot(data)
	if err != nil {
		return postmaster{}, err
	}
	defer func() { _ = root.Close() }()
	file, err := root.OpenFile("postmaster.pid", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return postmaster{}, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return postmaster{}, err
	}
	if len(content) == 0 { // a crash of the machine can leave it so
		return postmaster{}, nil
	}
	found, err := parsePostmaster(string(content))
	if err != nil {
		return postmaster{}, fmt.Errorf("%s: %w", path, err)
	}
	return found, nil
}

func parsePostmaster(content string) (postmaster, error) {
	lines := strings.Split(content, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return postmaster{}, fmt.Errorf("the first line is %q, not the number of a process", lines[0])
	}
	found := postmaster{pid: pid}
	if len(lines) > 2 {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64); err == nil {
			found.started = time.Unix(seconds, 0)
		}
	}
	found.ready = len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
	return found, nil
}

// running gives the server that runs on a data folder; pid 0 means that none does. A file that a dead server has left
// behind does not count, even when its process number belongs to another program by now.
func running(data string) (postmaster, error) {
	found, err := readPostmaster(data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return postmaster{}, nil
	case err != nil:
		return postmaster{}, err
	case !serves(found, data):
		return postmaster{}, nil
	}
	return found, nil
}

// serves says whether the process is a server on the data folder. When in doubt it says yes: two servers on one folder
// would destroy it.
func serves(found postmaster, data string) bool {
	if found.pid == 0 || !exists(found.pid) {
		return false
	}
	arguments := processArguments(found.pid)
	if len(arguments) == 0 || !strings.Contains(filepath.Base(arguments[0]), "postgres") ||
		strings.HasPrefix(arguments[0], "postgres:") {
		return false // dead and not yet waited for, another program, or a session of some server
	}
	for i, argument := range arguments {
		folder, found := strings.CutPrefix(argument, "-D")
		if !found {
			continue
		}
		if folder == "" && i+1 < len(arguments) {
			folder = arguments[i+1]
		}
		if filepath.IsAbs(folder) {
			return sameFolder(folder, data)
		}
	}
	return true
}

func sameFolder(left, right string) bool {
	a, err := os.Stat(left)
	if err != nil {
		return false
	}
	b, err := os.Stat(right)
	return err == nil && os.SameFile(a, b)
}

// forgetStale removes a postmaster.pid that is empty, or whose process is another program by now. PostgreSQL itself
// would take that program for a server and refuse to start. All other leftovers are PostgreSQL's own business: it knows
// whether sessions of the dead server are still there.
func forgetStale(data string) error {
	found, err := readPostmaster(data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case found.pid != 0 && (!exists(found.pid) || serves(found, data)):
		return nil
	}
	return os.Remove(filepath.Join(data, "postmaster.pid"))
}

// tail gives the last lines that were written to a log file after offset, for error messages.
func tail(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	content := make([]byte, min(max(0, info.Size()-offset), tailBytes))
	read, err := file.ReadAt(content, info.Size()-int64(len(content)))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(content[:read])), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

const (
	tailBytes = 8 << 10
	tailLines = 12
)
