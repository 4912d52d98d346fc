package devdb

import "syscall"

// lifetime says what happens to a program when this process ends.
type lifetime int

const (
	bound    lifetime = iota // it ends with us, even when we are killed
	detached                 // it lives on
)

// attributes are how the account's programs are started. A bound program gets SIGQUIT, PostgreSQL's immediate shutdown,
// when the thread that started it ends: a fast shutdown (SIGINT) could wait for a checkpoint or an archiver. The
// starter must therefore keep its thread.
func (a account) attributes(lifetime lifetime) *syscall.SysProcAttr {
	// A session of its own: it has no terminal, and an interrupt typed there is for us; we then stop the server in good
	// order.
	attributes := &syscall.SysProcAttr{Setsid: true}
	if lifetime == bound {
		attributes.Pdeathsig = syscall.SIGQUIT
	}
	if a.uid != 0 {
		attributes.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attributes
}

// guard is not needed where the kernel itself ends a bound program.
func guard(int) (release func(), err error) { return func() {}, nil }
