package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// Command runs a program that gets the alert as JSON on its standard input. It
// is delivered when the program ends with status 0.
type Command struct {
	Path      string // looked for in PATH where it has no slash
	Arguments []string
}

// Send implements Sink. A program that runs for longer than the context is
// killed. It is not run a second time: what it did by then is not known here.
func (c Command) Send(ctx context.Context, a Alert) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	program := filepath.Base(c.Path)
	command := exec.CommandContext(ctx, c.Path, c.Arguments...)
	command.Stdin = bytes.NewReader(append(body, '\n'))
	said := &beginning{}
	command.Stdout, command.Stderr = said, said
	command.WaitDelay = time.Second // for children that hold the pipes open
	err = command.Run()
	var status *exec.ExitError
	var missing *exec.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s did not end in time and was killed", program)
	case errors.As(err, &status):
		return fmt.Errorf("%s: %s%s", program, status.ProcessState, c.quote(said.text))
	case errors.As(err, &missing):
		return fmt.Errorf("%s cannot be run: %w", program, missing.Err)
	}
	return fmt.Errorf("%s: %w", program, err)
}

// quote is the first line of what the program said, without its arguments, which
// may be secrets.
func (c Command) quote(said []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	line = redact.Everywhere(line, slices.DeleteFunc(slices.Clone(c.Arguments),
		func(a string) bool { return len(a) <= 3 })...)
	if line == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(line, "?")
}

// beginning keeps the first bytes that are written to it.
type beginning struct{ text []byte }

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	const most = 512
	b.text = append(b.text, p[:min(len(p), most-len(b.text))]...)
	return len(p), nil
}
