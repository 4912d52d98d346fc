package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

func newLock(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "lock",
		Short: "Show who is migrating the database now",
		Long: `Show who holds the lease that only one runner can have: who, where, since when,
and what its session does now.

A lease whose holder has died needs nobody's help: the next runner takes it.`,
		Example: `  whimbrel lock
  whimbrel lock release`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			_, migrator, err := a.openRecords(command.Context())
			if err != nil {
				return err
			}
			holder, err := migrator.Lock(command.Context())
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(lockJSON{Holder: holder})
				return nil
			}
			a.say("%s", strings.TrimRight(renderHolder(a.style, holder, time.Now()), "\n"))
			return nil
		},
	}
	command.AddCommand(newLockRelease(a))
	return command
}

// lockJSON is what lock prints with --json; a free lease has no holder.
type lockJSON struct {
	Holder   *whimbrel.Holder `json:"holder"`
	Released bool             `json:"released,omitempty"`
}

func newLockRelease(a *app) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "release",
		Short: "Release the lease of another runner by force",
		Long: `Take the lease away from its holder. A holder that is alive notices, and stops
before it does anything more.`,
		Example: `  whimbrel lock release
  whimbrel lock release --yes`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			_, migrator, err := a.openRecords(command.Context())
			if err != nil {
				return err
			}
			holder, err := migrator.Lock(command.Context())
			if err != nil {
				return err
			}
			if holder == nil {
				if a.flags.json {
					a.object(lockJSON{})
				}
				a.say("The lease is free: there is nothing to release.")
				return nil
			}
			question := fmt.Sprintf("%sTake the lease away?", renderHolder(a.errStyle, holder, time.Now()))
			if err := a.sure(command.Context(), question, yes); err != nil {
				return err
			}
			if err := migrator.ReleaseLock(command.Context(), holder.Token); err != nil {
				return err
			}
			if a.flags.json {
				a.object(lockJSON{Holder: holder, Released: true})
			}
			a.say("%s the lease of %s is released", a.style.Good("✓"), holder.By)
			return nil
		},
	}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

// renderHolder shows who holds the lease; nil: nobody.
func renderHolder(p present.Style, h *whimbrel.Holder, now time.Time) string {
	if h == nil {
		return "The lease is free: nobody is migrating.\n"
	}
	state := map[string]string{
		"alive": "alive", "expired": "its time has run out; the next runner takes it",
		"gone": "its session has ended; the next runner takes it",
	}[h.State]
	rows := [][]string{{p.Faint("held by"), h.By}, {p.Faint("state"), state}}
	if !h.Since.IsZero() {
		rows = append(rows, []string{p.Faint("since"), clock(h.Since) + ", " + present.Ago(h.Since, now)})
	}
	for _, row := range [][]string{
		{"host", h.Host}, {"user", h.User}, {"whimbrel", h.Tool}, {"doing", present.OneLine(h.Activity, 100)},
	} {
		if row[1] != "" {
			rows = append(rows, []string{p.Faint(row[0]), row[1]})
		}
	}
	if h.PID != 0 {
		rows = append(rows, []string{p.Faint("session"), fmt.Sprintf("pid %d", h.PID)})
	}
	rows = append(rows, []string{p.Faint("token"), fmt.Sprint(h.Token)})
	return present.Table(p, nil, rows)
}
