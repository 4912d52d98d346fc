package devdb

import (
	"fmt"
	"os"
	"strings"
)

// processArguments gives the command line of a process; nothing for one that has ended and was not yet waited for.
func processArguments(pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(content), "\x00"), "\x00")
}
