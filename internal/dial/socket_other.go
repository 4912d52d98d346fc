//go:build !linux

package dial

import (
	"errors"
	"net"
	"syscall"
)

const knowsPeers = false

// giveUpAfter does nothing, as libpq does where the system knows no such bound.
func giveUpAfter(syscall.RawConn, int) error { return nil }

func peerOf(net.Conn) (string, error) { return "", errors.ErrUnsupported }
