//go:build unix && !linux

package devdb

import "syscall"

// lifetime says what happens to a program when this process ends.
type lifetime int

const (
	bound    lifetime = iota // it ends with us, even when we are killed; see guard
	detached                 // it lives on
)

// attributes are how the account's programs are started: in a session of their own, without a terminal.
func (a account) attributes(lifetime) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if a.uid != 0 {
		attributes.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attributes
}

// guard ends the process when ours ends, until it is released.
func guard(pid int) (release func(), err error) { return watch(pid) }
