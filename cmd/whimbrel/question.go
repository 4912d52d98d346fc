package main

import (
	"bufio"
	"fmt"
	"strings"
)

// sure asks a person whether to go on. Where nobody can be asked, only yes
// will do.
func (a *app) sure(question string, yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.inTerminal || a.flags.json {
		return false, usage("add --yes if that is what you want", "this asks before it acts, and there is no terminal to ask on")
	}
	_, _ = fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	a.note("nothing was done")
	return false, nil
}
