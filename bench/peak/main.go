// Command peak runs the command that its arguments say and prints, as JSON, how
// long it took and the most memory it had. The command's own output is thrown
// away; what it says on standard error is passed on.
//
// It is a program of its own because Linux counts, as a child's, also the memory
// that the parent had when it started the child, and this one has next to none.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "peak: give a command to run")
		os.Exit(2)
	}
	command := exec.Command(os.Args[1], os.Args[2:]...)
	command.Stderr = os.Stderr
	began := time.Now()
	err := command.Run()
	took := time.Since(began)
	if err != nil {
		fmt.Fprintln(os.Stderr, "peak:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"milliseconds": took.Seconds() * 1000, "bytes": memory(command.ProcessState),
	})
}
