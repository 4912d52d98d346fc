package main

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// environment is everything that a run of the program takes from outside.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(name string) (value string, set bool)
	folder         string // the working folder, absolute
	// interrupts delivers SIGINT and SIGTERM; nil: never.
	interrupts <-chan os.Signal
	// Whether a person sits there. Colours need outTerminal, the live line
	// errTerminal as well, questions inTerminal.
	inTerminal, outTerminal, errTerminal bool
	outWidth                             int // columns of the terminal; 0: unknown
}

// lasting writes until that fails, and from then on nothing: that nobody reads on (as
// in whimbrel up | head) is no reason to stop a migration half-way. What became of it,
// the exit status says.
type lasting struct {
	mutex  sync.Mutex
	w      io.Writer
	failed bool
}

// Write implements io.Writer.
func (l *lasting) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.failed {
		_, err := l.w.Write(p)
		l.failed = err != nil
	}
	return len(p), nil
}

// process is the environment of this process.
func process() environment {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a write fails; unasked, it would end the process
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	folder, err := os.Getwd()
	if err != nil {
		folder = "."
	}
	env := environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		lookup: os.LookupEnv, folder: folder, interrupts: interrupts,
		inTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		env.outWidth = width
	}
	return env
}

// variable gives the value of an environment variable; one that is empty
// counts as one that is not set.
func (e environment) variable(name string) string {
	value, _ := e.lookup(name)
	return value
}
