package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
)

// sure asks a person whether to go on; nil means yes. Any other answer, and the end
// of the input, is a refusal. A signal ends the question at once. Where nobody can
// be asked, only yes will do.
func (a *app) sure(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.inTerminal || a.flags.json {
		return usage("add --yes if that is what you want", "this asks before it acts, and there is no terminal to ask on")
	}
	a.interruption.atOnce()
	_, _ = fmt.Fprintf(a.err, "%s [y/N] ", question)
	// A read from a terminal cannot be cancelled: after a signal the goroutine stays
	// in it until the process ends, which is right away.
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		if ctx.Err() == nil && (said == "y" || said == "yes") {
			return nil
		}
		if ctx.Err() == nil {
			a.note("nothing was done")
			return refusedError{}
		}
	case <-ctx.Done():
	case <-a.interruption.stop: // a signal that came before the question
	}
	_, _ = fmt.Fprintln(a.err) // the question's line is not ended
	return &whimbrel.Error{
		Code: whimbrel.CodeInterrupted, Message: "interrupted at the question: nothing was done",
		Remedy: "run the same command again, and answer y", Err: context.Canceled,
	}
}
