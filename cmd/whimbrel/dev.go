package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
)

// devDatabase is the database of a project on its development server.
const devDatabase = "dev"

func newDev(a *app) *cobra.Command {
	var major int
	command := &cobra.Command{
		Use:   "dev",
		Short: "The development server: a PostgreSQL of this project's own",
		Long: `A PostgreSQL server for this project on this machine. Its data lies in the folder
.whimbrel beside whimbrel.yaml, or in the working folder. Commands with --dev
work on it, and start it where needed.`,
		Example: `  whimbrel dev start
  whimbrel up --dev
  whimbrel dev psql
  whimbrel dev stop`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.PersistentFlags().IntVar(&major, "pg-version", 0, fmt.Sprintf("the major `VERSION` of PostgreSQL, %d to %d (default the newest at hand)", oldestMajor, newestMajor))
	command.AddCommand(
		newDevStart(a, &major), newDevStop(a, &major), newDevStatus(a, &major),
		newDevURL(a, &major), newDevPsql(a, &major), newDevReset(a, &major),
	)
	return command
}

// development opens the project's development server, without starting it.
func (a *app) development(file config, major int) (*devdb.Project, error) {
	if major != 0 && !knownMajor(major) {
		return nil, usage("use one of "+majorsText(), "there is no development server with PostgreSQL %d", major)
	}
	if major == 0 {
		major = file.Environments[cmp.Or(a.flags.env, file.DefaultEnvironment)].PGVersion
	}
	folder := filepath.Join(file.place, ".whimbrel")
	server, err := devdb.OpenProject(folder, devdb.ProjectOptions{
		Major: major, Progress: func(message string) { a.note("%s", message) },
	})
	return server, devError(err)
}

// startEmbedded makes sure that the development server runs, and gives the URL
// of the project's database on it.
func (a *app) startEmbedded(ctx context.Context, file config, major int) (string, error) {
	server, err := a.development(file, major)
	if err != nil {
		return "", err
	}
	if err := server.Start(ctx); err != nil {
		return "", devError(err)
	}
	url, err := server.URL(ctx, devDatabase)
	return url, devError(err)
}

// devError gives an error of the development server the form of ours.
func devError(err error) error {
	if err == nil {
		return nil
	}
	return &whimbrel.Error{
		Code: whimbrel.CodeConnection, Message: "the development server: " + err.Error(),
		Remedy: "see whimbrel dev status; whimbrel dev reset begins anew; or give another database with --database-url", Err: err,
	}
}

// onServer runs do with the project's development server.
func (a *app) onServer(major *int, do func(context.Context, config, *devdb.Project) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		file, err := a.config()
		if err != nil {
			return err
		}
		server, err := a.development(file, *major)
		if err != nil {
			return err
		}
		return do(command.Context(), file, server)
	}
}

func newDevStart(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Start the server and print the URL of the project's database",
		Example: "  whimbrel dev start\n  whimbrel dev start --pg-version 16",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, file config, _ *devdb.Project) error {
			return a.printURL(ctx, file, *major)
		}),
	}
}

func newDevURL(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "url", Short: "Print the URL of the project's database, starting the server where needed",
		Example: `  export DATABASE_URL="$(whimbrel dev url)"`,
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, file config, _ *devdb.Project) error {
			return a.printURL(ctx, file, *major)
		}),
	}
}

// devURL is what dev start and dev url print with --json.
type devURL struct {
	URL string `json:"url"`
}

// printURL is the one place that prints a URL: that of a server that whimbrel
// runs, which has no secret in it.
func (a *app) printURL(ctx context.Context, file config, major int) error {
	url, err := a.startEmbedded(ctx, file, major)
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(devURL{URL: url})
		return nil
	}
	a.say("%s", url)
	return nil
}

func newDevStop(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the server; its data stays",
		Example: "  whimbrel dev stop",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, _ config, server *devdb.Project) error {
			if err := server.Stop(ctx); err != nil {
				return devError(err)
			}
			return a.devStatus(ctx, server)
		}),
	}
}

func newDevStatus(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether the server runs, and where its data is",
		Example: "  whimbrel dev status\n  whimbrel dev status --json",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, _ config, server *devdb.Project) error {
			return a.devStatus(ctx, server)
		}),
	}
}

func newDevReset(a *app, major *int) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use: "reset", Short: "Throw all data of the server away",
		Example: "  whimbrel dev reset\n  whimbrel dev reset --yes --pg-version 18",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, _ config, server *devdb.Project) error {
			if sure, err := a.sure("Throw all data of the development server away?", yes); err != nil || !sure {
				return err
			}
			if err := server.Reset(ctx); err != nil {
				return devError(err)
			}
			return a.devStatus(ctx, server)
		}),
	}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

func newDevPsql(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "psql [-- ARGUMENTS]", Short: "Open psql on the project's database, starting the server where needed",
		Example: "  whimbrel dev psql\n  whimbrel dev psql -- -c 'SELECT 1'",
		RunE: func(command *cobra.Command, args []string) error {
			file, err := a.config()
			if err != nil {
				return err
			}
			program, err := exec.LookPath("psql")
			if err != nil {
				return usage("install PostgreSQL's client, or connect with any other to the URL of whimbrel dev url", "psql is not on this machine's PATH")
			}
			url, err := a.startEmbedded(command.Context(), file, *major)
			if err != nil {
				return err
			}
			return a.psql(program, url, args)
		},
	}
}

// psql runs psql until it ends. The terminal's Ctrl-C is psql's own business.
func (a *app) psql(program, url string, args []string) error {
	connection, err := pgx.ParseConfig(url)
	if err != nil {
		return devError(err)
	}
	a.interruption.gently()
	psql := exec.Command(program, args...)
	psql.Stdin, psql.Stdout, psql.Stderr, psql.Dir = a.stdin, a.stdout, a.stderr, a.folder
	// Not as arguments: those can be read by everybody on the machine.
	psql.Env = append(os.Environ(),
		"PGHOST="+connection.Host, "PGPORT="+strconv.Itoa(int(connection.Port)), "PGUSER="+connection.User,
		"PGPASSWORD="+connection.Password, "PGDATABASE="+connection.Database)
	if err := psql.Run(); err != nil {
		return &whimbrel.Error{Code: whimbrel.CodeConnection, Message: strings.TrimSpace("psql: " + err.Error()), Err: err}
	}
	return nil
}

// devStatus shows the server's state.
func (a *app) devStatus(ctx context.Context, server *devdb.Project) error {
	status, err := server.Status(ctx)
	if err != nil {
		return devError(err)
	}
	a.object(status)
	return nil
}
