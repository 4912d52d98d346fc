package devdb

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock knows files and ports of TCP. What it leaves open are sockets that have a path, as those of the machine's
// own PostgreSQL and of Docker, and datagrams. A filter of system calls closes both: a server accepts connections and
// makes none. See https://docs.kernel.org/userspace-api/seccomp_filter.html.

// machine is what the filter must know of an architecture.
type machine struct {
	audit uint32 // AUDIT_ARCH_…
	limit uint32 // numbers from here on belong to another interface; 0: there is none
}

var machines = map[string]machine{
	"amd64": {unix.AUDIT_ARCH_X86_64, 0x40000000}, // x32
	"arm64": {unix.AUDIT_ARCH_AARCH64, 0},
}

// oldestWithoutSockets is the first PostgreSQL whose server makes no connections of its own: the statistics of older
// ones go through UDP.
const oldestWithoutSockets = 15

// closesSockets reports whether the filter is to be had for a server of that version. A container may keep it from us.
func closesSockets(major int) bool {
	if _, known := machines[runtime.GOARCH]; !known || major < oldestWithoutSockets {
		return false
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}

// The places of what a filter looks at; see struct seccomp_data in seccomp(2). The low half of an argument comes first
// on these machines.
const (
	atNumber    = 0
	atMachine   = 4
	atArguments = 16
)

func argument(n uint32) uint32 { return atArguments + 8*n }

// fastOpen is MSG_FASTOPEN: a connection that is made by sending.
const fastOpen = 0x20000000

// The answers.
var (
	allowed = unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}
	refused = unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)}
)

func load(place uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: place}
}

// unless skips the next instructions where the comparison does not hold.
func unless(comparison uint16, value uint32, skip uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | comparison | unix.BPF_K, K: value, Jf: skip}
}

// where skips the next instructions where it is the value.
func where(value uint32, skip uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: skip}
}

// socketFilter refuses what makes a connection or sends to an address, and the ways around a filter.
func socketFilter(m machine) []unix.SockFilter {
	filter := []unix.SockFilter{load(atMachine), where(m.audit, 1), refused, load(atNumber)}
	if m.limit != 0 {
		filter = append(filter, unless(unix.BPF_JGE, m.limit, 1), refused)
	}
	for _, number := range []uint32{
		unix.SYS_CONNECT, unix.SYS_SOCKETPAIR, unix.SYS_IO_URING_SETUP, unix.SYS_KEYCTL, unix.SYS_ADD_KEY,
		unix.SYS_REQUEST_KEY,
		unix.SYS_MEMFD_CREATE, // a program that only memory has is no file to Landlock, and may be run
	} {
		filter = append(filter, unless(unix.BPF_JEQ, number, 1), refused)
	}
	for number, flags := range map[uint32]uint32{unix.SYS_SENDTO: 3, unix.SYS_SENDMSG: 2, unix.SYS_SENDMMSG: 3} {
		filter = append(filter, unless(unix.BPF_JEQ, number, 4), load(argument(flags)), unless(unix.BPF_JSET, fastOpen, 1),
			refused, allowed)
	}
	return append(filter, // of sockets, those that listen
		where(unix.SYS_SOCKET, 1), allowed,
		load(argument(0)), where(unix.AF_UNIX, 3), where(unix.AF_INET, 2), where(unix.AF_INET6, 1), refused,
		load(argument(1)), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf},
		where(unix.SOCK_STREAM, 1), refused, allowed,
	)
}

// closeSockets puts the filter around the calling thread and what it starts. The thread has given up new privileges.
func closeSockets() error {
	filter := socketFilter(machines[runtime.GOARCH])
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
