package devdb

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// lifetime says what happens to a program when this process ends.
type lifetime int

const (
	bound    lifetime = iota // it ends with us, even when we are killed; see guard
	detached                 // it lives on
)

// attributes are how programs are started: in a group of their own, so that an interrupt typed at the terminal is for
// us only.
func (a account) attributes(lifetime lifetime) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	if lifetime == detached {
		attributes.CreationFlags |= windows.DETACHED_PROCESS
	}
	return attributes
}

// guard puts the process into a job, which Windows ends with everything in it when its last handle, ours, is closed.
func guard(pid int) (release func(), err error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("creating a job for process %d: %w", pid, err)
	}
	release = func() { _ = windows.CloseHandle(job) }
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		err = assign(job, pid)
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("putting process %d into a job: %w", pid, err)
	}
	return release, nil
}

func assign(job windows.Handle, pid int) error {
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(process) }()
	return windows.AssignProcessToJobObject(job, process)
}
