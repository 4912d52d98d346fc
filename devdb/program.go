package devdb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ProgramError says that one of the programs that this package needs (postgres, initdb, npm) is not there or has not
// done its work.
type ProgramError struct {
	Remedy string
	Err    error
}

// Error ends with the remedy; Explain has it apart.
func (e *ProgramError) Error() string { return e.Err.Error() + "; " + e.Remedy }

// Unwrap gives what is wrong.
func (e *ProgramError) Unwrap() error { return e.Err }

// Explain gives what an error of this package says, and what to do about it. Where that is unknown, the remedy is
// empty.
func Explain(err error) (message, remedy string) {
	var program *ProgramError
	if !errors.As(err, &program) {
		return err.Error(), ""
	}
	return strings.Replace(err.Error(), program.Error(), program.Err.Error(), 1), program.Remedy
}

// another is how to choose other programs.
const another = "set " + binariesVariable + " to the folder of another server's programs (postgres and initdb)"

// failed makes the error of a program that has not done its work; what it printed is in the cause.
func failed(program, what string, cause error) error {
	printed := cause.Error()
	remedy := fmt.Sprintf("see what %s says; install the server's package once more, or %s", program, another)
	switch {
	case strings.Contains(printed, "effective user ID"): // which initdb looks up
		return &ProgramError{
			Remedy: "give it one in /etc/passwd, or run as another",
			Err:    fmt.Errorf("%s: PostgreSQL's %s cannot be run by an account without a name", what, program),
		}
	case strings.Contains(printed, "No space left on device"):
		remedy = "make room in the folder for temporary files, or name another one with TMPDIR"
	case strings.Contains(printed, "error while loading shared libraries"), strings.Contains(printed,
		"Library not loaded"):
		remedy = "install the library that it lacks, or " + another
	case errors.Is(cause, fs.ErrPermission):
		remedy = fmt.Sprintf("let it be run (chmod +x %s), or %s", program, another)
	}
	return &ProgramError{Remedy: remedy, Err: fmt.Errorf("%s: %w", what, cause)}
}
