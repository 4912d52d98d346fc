package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newProtect(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "protect",
		Short: "Show or change the protection of the database",
		Long: `Show whether the database is protected. Its migrations are then run after the
checks and a question only, no matter who runs them, by which address, with or
without a whimbrel.yaml.

The mark is kept in the database, in the table whimbrel_protection, with the
server's identity and the database's own. A copy of the database, as by pg_dump
or CREATE DATABASE … TEMPLATE, is another database: it says that it is a copy,
and is not protected. A replica that is promoted is the same, and stays
protected.

The first run through an environment with "protected: true" leaves the mark by
itself.`,
		Example: `  whimbrel protect
  whimbrel protect on
  whimbrel protect off --yes`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.protectionStatus(command) },
	}
	status := &cobra.Command{
		Use: "status", Short: "Show whether the database is protected",
		Long: "Show whether the database is protected, since when, and as what.", Example: "  whimbrel protect status --json",
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.protectionStatus(command) },
	}
	command.AddCommand(newProtectOn(a), newProtectOff(a), status)
	return command
}

// protectionJSON is what protect prints with --json.
type protectionJSON struct {
	whimbrel.Protection
	// Environment is the protected environment of whimbrel.yaml that has this database.
	Environment string `json:"environment,omitempty"`
	// Before is what off has taken away.
	Before *whimbrel.Protection `json:"before,omitempty"`
}

func (a *app) protectionStatus(command *cobra.Command) error {
	p, migrator, err := a.openRecords(command.Context())
	if err != nil {
		return err
	}
	found, err := migrator.Protection(command.Context())
	if err != nil {
		return err
	}
	shown := protectionJSON{Protection: found, Environment: p.ProtectedAs(command.Context())}
	if a.flags.json {
		a.object(shown)
		return nil
	}
	switch found.State {
	case whimbrel.Protected:
		a.say("%s %s", a.style.Good("on"), markText(found))
	case whimbrel.CopiedProtection:
		a.say("%s %s", a.style.Warning("off"), copiedText(found))
	default:
		a.say("off: this database has no mark")
	}
	if shown.Environment != "" && found.State != whimbrel.Protected {
		a.say("but it is the database of environment %s, which is protected: the next run through that leaves the mark",
			shown.Environment)
	}
	return nil
}

// markText says what is known of a mark.
func markText(p whimbrel.Protection) string {
	if p.Since.IsZero() {
		return p.Detail
	}
	text := fmt.Sprintf("as %s since %s, by %s", p.Name, clock(p.Since), p.By)
	if p.Detail != "" {
		text += "; " + p.Detail
	}
	return text
}

// copiedText is the line about a database that was copied from a protected one.
func copiedText(p whimbrel.Protection) string {
	return fmt.Sprintf("this database was copied from a protected one (%s) and is not protected itself: whimbrel "+
		"protect on", p.Name)
}

// notedText is the line about protection that a run prints.
func notedText(p whimbrel.Protection) string {
	switch p.State {
	case whimbrel.Protected:
		return "the database is marked as protected (" + p.Name + "): whimbrel protect says more"
	case whimbrel.CopiedProtection:
		return copiedText(p)
	}
	return p.Detail
}

func newProtectOn(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "on",
		Short: "Mark the database as protected",
		Long: `Mark the database as protected: its migrations are run after the checks and a
question only, no matter who runs them. The log notes who marked it.`,
		Example: `  whimbrel protect on
  whimbrel protect on --env production`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			p, migrator, err := a.openRecords(command.Context())
			if err != nil {
				return err
			}
			name := cmp.Or(p.ProtectedAs(command.Context()), p.Database.Environment, migrator.Connection().Database)
			marked, err := migrator.Protect(command.Context(), name)
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(protectionJSON{Protection: marked})
				return nil
			}
			a.say("%s the database is protected, %s", a.style.Good("✓"), markText(marked))
			return nil
		},
	}
}

func newProtectOff(a *app) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "off",
		Short: "Remove the mark from the database",
		Long: `Take the mark off the database, after asking. The log notes who did it. An
environment with "protected: true" in whimbrel.yaml stays protected, and its
next run leaves the mark again.`,
		Example: `  whimbrel protect off
  whimbrel protect off --yes`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			p, migrator, err := a.openRecords(ctx)
			if err != nil {
				return err
			}
			before, err := migrator.Protection(ctx)
			if err != nil {
				return err
			}
			if before.State == whimbrel.Unprotected {
				if a.flags.json {
					a.object(protectionJSON{Protection: before})
				}
				a.say("The database has no mark: there is nothing to take off.")
				return nil
			}
			if err := a.sure(ctx, a.protectedBy(p, before)+". Take the protection off?", yes); err != nil {
				return err
			}
			if before, err = migrator.Unprotect(ctx); err != nil {
				return err
			}
			if a.flags.json {
				a.object(protectionJSON{Protection: whimbrel.Protection{State: whimbrel.Unprotected}, Before: &before})
				return nil
			}
			a.say("%s the database is not protected any more", a.style.Good("✓"))
			return nil
		},
	}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}
