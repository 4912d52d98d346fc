//go:build unix && !linux

package devdb

import (
	"os/exec"
	"strconv"
	"strings"
)

// processArguments gives the command line of a process; nothing for one that has ended and was not yet waited for. ps
// does not tell where an argument ends: a path with spaces comes in pieces, and is then found by nobody. What remains
// is "in doubt", which is safe.
func processArguments(pid int) []string {
	output, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	command := strings.TrimSpace(string(output))
	if err != nil || command == "" || strings.HasPrefix(command, "(") || strings.Contains(command, "<defunct>") {
		return nil
	}
	return strings.Fields(command)
}
