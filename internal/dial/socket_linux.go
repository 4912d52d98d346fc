package dial

import (
	"errors"
	"net"
	"os/user"
	"strconv"
	"syscall"
)

const knowsPeers = true

// tcpUserTimeout is TCP_USER_TIMEOUT of <netinet/tcp.h>.
const tcpUserTimeout = 0x12

// giveUpAfter bounds how long what was sent may stay unacknowledged.
func giveUpAfter(raw syscall.RawConn, milliseconds int) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, milliseconds)
	})
	return errors.Join(err, failed)
}

// peerOf is the name of the user as whom the other end of a Unix socket runs; its
// number, where it has no name.
func peerOf(conn net.Conn) (string, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return "", errors.New("not a Unix socket")
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return "", err
	}
	var peer *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return "", err
	}
	if failed != nil {
		return "", failed
	}
	id := strconv.FormatUint(uint64(peer.Uid), 10)
	if found, err := user.LookupId(id); err == nil {
		return found.Username, nil
	}
	return id, nil
}
