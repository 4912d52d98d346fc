package devdb

import (
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file builds the cage of Landlock: the kernel's way for a process without privileges to give up what it and its
// children may reach. See https://docs.kernel.org/userspace-api/landlock.html.

// confinement is a cage that a thread can enter.
type confinement struct {
	walls    Walls
	ruleset  int      // a file descriptor; only where there are walls
	programs []string // the server's, first, and its loader
}

// The rights on files, by the version of the interface that knows them.
const (
	filesSince1 = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	filesSince2 = unix.LANDLOCK_ACCESS_FS_REFER
	filesSince3 = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	filesSince5 = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	reading = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// onFiles are the rights that a rule for a single file may have.
	onFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		filesSince3 | filesSince5

	ruleNetPort = 2 // LANDLOCK_RULE_NET_PORT
)

// handledBy says what an interface of that version can close.
func handledBy(version int) unix.LandlockRulesetAttr {
	handled := unix.LandlockRulesetAttr{Handled_access_fs: filesSince1}
	for since, rights := range map[int]uint64{2: filesSince2, 3: filesSince3, 5: filesSince5} {
		if version >= since {
			handled.Handled_access_fs |= rights
		}
	}
	if version >= 4 {
		handled.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 6 {
		handled.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return handled
}

// landlockVersion asks the kernel; 0 where it has none, or where a container's filter of system calls keeps it from us.
func landlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// confine prepares the cage. Where the kernel has no walls at all there is none, and Walls.Missing says why; any other
// failure is an error.
func (c cage) confine(version int) (*confinement, error) {
	if version < 1 {
		return &confinement{walls: Walls{Missing: "this kernel, or this container, has no Landlock"}}, nil
	}
	loader, err := loaderOf(c.program)
	if err != nil {
		return &confinement{walls: Walls{Missing: err.Error()}}, nil
	}
	handled := handledBy(version)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&handled)),
		unsafe.Sizeof(handled), 0)
	if errno != 0 {
		return nil, fmt.Errorf("confining the server: creating the ruleset: %w", errno)
	}
	made := &confinement{ruleset: int(fd), walls: c.walls(handled), programs: []string{c.program, loader}}
	if real, err := filepath.EvalSymlinks(loader); err == nil {
		made.programs = append(made.programs, real)
	}
	if err := c.allow(made.ruleset, handled, loader); err != nil {
		made.close()
		return nil, fmt.Errorf("confining the server: %w", err)
	}
	return made, nil
}

func (c cage) walls(handled unix.LandlockRulesetAttr) Walls {
	walls := Walls{Files: true, TCP: handled.Handled_access_net != 0, Signals: handled.Scoped != 0, Sockets: c.sockets}
	switch {
	case !walls.TCP && !walls.Sockets || !walls.Signals:
		walls.Missing = "this kernel's Landlock knows no more"
	case !walls.Sockets:
		walls.Missing = "its system calls cannot be filtered: PostgreSQL before 15 makes connections of its own, or this " +
			"container or architecture has no filter"
	}
	walls.TCP = walls.TCP || walls.Sockets // whatever connects is refused
	return walls
}

// allow adds the rules: whatever no rule allows is closed.
func (c cage) allow(ruleset int, handled unix.LandlockRulesetAttr, loader string) error {
	type rule struct {
		path   string
		rights uint64
	}
	rules := []rule{
		{c.program, unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE},
		{"/dev/null", unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		{"/dev/urandom", unix.LANDLOCK_ACCESS_FS_READ_FILE},
	}
	if loader != "" {
		rules = append(rules, rule{loader, unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE})
	}
	for _, path := range c.readable {
		rules = append(rules, rule{path, reading})
	}
	for _, path := range c.writable {
		rules = append(rules, rule{path, handled.Handled_access_fs &^ unix.LANDLOCK_ACCESS_FS_EXECUTE})
	}
	for _, r := range rules {
		if err := allowPath(ruleset, r.path, r.rights&handled.Handled_access_fs); err != nil {
			return fmt.Errorf("allowing %s: %w", r.path, err)
		}
	}
	if c.port == 0 || handled.Handled_access_net == 0 {
		return nil
	}
	attr := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_BIND_TCP, uint64(c.port)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), ruleNetPort,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allowing port %d: %w", c.port, errno)
	}
	return nil
}

// allowPath adds a rule for a folder and all that is below it, or for a file. What does not exist needs none.
func allowPath(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return err
	}
	if status.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= onFiles
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// loaderOf gives the dynamic loader that the kernel runs with a program; none for a static one. A script, as some
// distributions put in front of the server, would need a shell, and what may run a shell is no cage.
func loaderOf(program string) (string, error) {
	file, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("%s is a script or not a program of Linux: name the folder of the server's own binaries by %s",
			program, binariesVariable)
	}
	defer func() { _ = file.Close() }()
	for _, part := range file.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		path := make([]byte, part.Filesz)
		if _, err := part.ReadAt(path, 0); err != nil {
			return "", fmt.Errorf("reading %s: %w", program, err)
		}
		return strings.TrimRight(string(path), "\x00"), nil
	}
	return "", nil
}

// enter closes the calling thread in, for good: it must be locked to its goroutine, and never be unlocked. What it
// starts from now on is in the cage from its first instruction.
func (c *confinement) enter() error {
	if !c.any() {
		return nil
	}
	if err := adoptOrphans(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confining the server: giving up new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(c.ruleset), 0, 0); errno != 0 {
		return fmt.Errorf("confining the server: entering the ruleset: %w", errno)
	}
	if !c.walls.Sockets {
		return nil
	}
	if err := closeSockets(); err != nil {
		return fmt.Errorf("confining the server: filtering its system calls: %w", err)
	}
	return nil
}

// limit keeps a crash from writing the server's memory to the disk. It is no wall: where we may not set it for another
// account, as in a container without CAP_SYS_RESOURCE, the server runs without.
func (c *confinement) limit(pid int) {
	if c.any() {
		_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
	}
}

func (c *confinement) close() {
	if c.any() {
		_ = unix.Close(c.ruleset)
	}
}
