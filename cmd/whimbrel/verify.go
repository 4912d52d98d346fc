package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
)

func newVerify(a *app) *cobra.Command {
	var accept []string
	command := &cobra.Command{
		Use:   "verify",
		Short: "Check that what ran is what the files say",
		Long: `Compare history and files: what is pending, missing, edited since it ran, or
half-done. Differences end in status 5.

--accept says that an edited file is right as it is now: its checksum is stored.`,
		Example: `  whimbrel verify
  whimbrel verify --accept 20240115120000
  whimbrel verify --json`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			p, err := a.open(command.Context())
			if err != nil {
				return err
			}
			if err := a.accept(command.Context(), p, accept); err != nil {
				return err
			}
			migrator, err := whimbrel.New(p.config)
			if err != nil {
				return err
			}
			verification, err := migrator.Verify(command.Context())
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(verification)
			} else {
				a.say("%s", strings.TrimRight(renderVerification(a.palette, verification), "\n"))
			}
			if len(verification.Differences) > 0 {
				return differenceError{}
			}
			return nil
		},
	}
	command.Flags().StringSliceVar(&accept, "accept", nil, "store the checksum of the edited file of `VERSION`; may be given several times")
	return command
}

// accept stores the checksums of edited files. Whoever hears of runs hears of it.
func (a *app) accept(ctx context.Context, p project, texts []string) error {
	var versions []migration.Version
	for _, text := range texts {
		version, err := versionOf(text)
		if err != nil {
			return err
		}
		versions = append(versions, version)
	}
	if len(versions) == 0 {
		return nil
	}
	observers, err := a.observe(ctx, &p)
	if err != nil {
		return err
	}
	defer observers.close()
	p.config.Listener = monitor.Listen(observers.all...)
	migrator, err := whimbrel.New(p.config)
	if err != nil {
		return err
	}
	result, err := migrator.Accept(ctx, versions...)
	if err != nil {
		return err
	}
	for _, outcome := range result.Done {
		a.say("%s %s %s is accepted as it is now", a.palette.good("✓"), outcome.Version, outcome.Name)
	}
	return nil
}

// renderVerification lists the differences with what to do about each.
func renderVerification(p palette, v whimbrel.Verification) string {
	if len(v.Differences) == 0 {
		return fmt.Sprintf("%s %s: %s applied, and the files agree\n", p.good("✓"), v.Database, are(v.Applied, "migration"))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", p.bad("✗"), v.Database, plural(len(v.Differences), "difference"))
	for _, d := range v.Differences {
		name := title(d.Version, d.Name)
		fmt.Fprintf(&b, "\n  %s  %s\n", p.strong(name), p.warn(strings.ReplaceAll(d.Kind, "_", " ")))
		fmt.Fprintf(&b, "    %s\n", indented(d.Message, "    "))
		if d.Remedy != "" {
			fmt.Fprintf(&b, "    %s %s\n", p.faint("remedy:"), indented(d.Remedy, "            "))
		}
	}
	return b.String()
}
