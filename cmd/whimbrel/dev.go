package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/project"
)

func newDev(a *app) *cobra.Command {
	var major int
	command := &cobra.Command{
		Use:   "dev",
		Short: "Manage the project's own development server",
		Long: `A PostgreSQL server for this project on this machine. Its data lies in the
folder .whimbrel beside whimbrel.yaml, or in the working folder. Commands with
--dev work on it, and start it where needed.`,
		Example: `  whimbrel dev start
  whimbrel up --dev
  whimbrel dev psql
  whimbrel dev stop`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.PersistentFlags().IntVar(&major, "pg-version", 0,
		fmt.Sprintf("the major `VERSION` of PostgreSQL, %d to %d (default the newest at hand)", project.OldestMajor,
			project.NewestMajor))
	command.AddCommand(
		newDevStart(a, &major), newDevStop(a, &major), newDevStatus(a, &major),
		newDevURL(a, &major), newDevPsql(a, &major), newDevReset(a, &major),
	)
	return command
}

// onServer runs do with the project's development server.
func (a *app) onServer(major *int, do func(context.Context, *devdb.Project) error) func(*cobra.Command,
	[]string) error {
	return func(command *cobra.Command, _ []string) error {
		p, err := a.project()
		if err != nil {
			return err
		}
		server, err := p.DevServer(*major)
		if err != nil {
			return err
		}
		return do(command.Context(), server)
	}
}

func newDevStart(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Start the server and print the URL of the project's database",
		Example: "  whimbrel dev start\n  whimbrel dev start --pg-version 16",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, server *devdb.Project) error {
			return a.printURL(ctx, server, false)
		}),
	}
}

func newDevURL(a *app, major *int) *cobra.Command {
	var overTCP bool
	command := &cobra.Command{
		Use: "url", Short: "Print the URL of the project's database, starting the server where needed",
		Long: `Print the URL of the project's database, starting the server where needed.

It is that of a socket that only you can open. For tools that know no sockets,
--tcp prints one with a password, which is good for this server only.`,
		Example: `  export DATABASE_URL="$(whimbrel dev url)"`,
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, server *devdb.Project) error {
			return a.printURL(ctx, server, overTCP)
		}),
	}
	command.Flags().BoolVar(&overTCP, "tcp", false, "the URL over TCP, with its password")
	return command
}

// devURL is what dev start and dev url print with --json.
type devURL struct {
	URL string `json:"url"`
}

// printURL is the one place that may print a password, because it was asked
// for: that of the development server. So it passes by the redactor.
func (a *app) printURL(ctx context.Context, server *devdb.Project, overTCP bool) error {
	url, err := server.URL(ctx, "")
	if err != nil {
		return project.DevServerError(err)
	}
	if overTCP {
		status, err := server.Status(ctx)
		if err != nil {
			return project.DevServerError(err)
		}
		url = status.TCPURL
	}
	text := []byte(url)
	if a.flags.json {
		if text, err = json.Marshal(devURL{URL: url}); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", text)
	return err
}

func newDevStop(a *app, major *int) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the server; its data stays",
		Example: "  whimbrel dev stop",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, server *devdb.Project) error {
			if err := server.Stop(ctx); err != nil {
				return project.DevServerError(err)
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
		RunE: a.onServer(major, func(ctx context.Context, server *devdb.Project) error {
			return a.devStatus(ctx, server)
		}),
	}
}

func newDevReset(a *app, major *int) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use: "reset", Short: "Delete the server and all its data",
		Example: "  whimbrel dev reset\n  whimbrel dev reset --yes --pg-version 18",
		Args:    arguments(0, 0, ""),
		RunE: a.onServer(major, func(ctx context.Context, server *devdb.Project) error {
			if err := a.sure(ctx, "Throw all data of the development server away?", yes); err != nil {
				return err
			}
			if err := server.Reset(ctx); err != nil {
				return project.DevServerError(err)
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
			p, err := a.project()
			if err != nil {
				return err
			}
			program, err := exec.LookPath("psql")
			if err != nil {
				return usage("install PostgreSQL's client, or connect with any other to the URL of whimbrel dev url",
					"psql is not on this machine's PATH")
			}
			server, err := p.DevServer(*major)
			if err != nil {
				return err
			}
			url, err := server.URL(command.Context(), "")
			if err != nil {
				return project.DevServerError(err)
			}
			return a.psql(program, url, args)
		},
	}
}

// psql runs psql until it ends. The terminal's Ctrl-C is psql's own business.
func (a *app) psql(program, url string, args []string) error {
	connection, err := pgx.ParseConfig(url)
	if err != nil {
		return project.DevServerError(err)
	}
	a.interruption.gently()
	psql := exec.Command(program, args...)
	psql.Stdin, psql.Stdout, psql.Stderr, psql.Dir = a.stdin, a.stdout, a.stderr, a.folder
	// Not as arguments: those can be read by everybody on the machine.
	psql.Env = append(os.Environ(),
		"PGHOST="+connection.Host, "PGPORT="+strconv.Itoa(int(connection.Port)), "PGUSER="+connection.User,
		"PGPASSWORD="+connection.Password, "PGDATABASE="+connection.Database)
	err = psql.Run()
	if err == nil {
		return nil
	}
	failed := &whimbrel.Error{Code: whimbrel.CodeConnection, Message: "psql: " + err.Error(), Err: err}
	failed.Remedy = "see what psql says above"
	if psql.ProcessState == nil { // it was not started
		failed.Remedy = "let " + program + " be run, or connect with any other client to the URL of whimbrel dev url"
	}
	return failed
}

// devStatusJSON is what dev status prints with --json.
type devStatusJSON struct {
	Running   bool          `json:"running"`
	URL       string        `json:"url,omitempty"` // never one with a password
	Version   string        `json:"version,omitempty"`
	PID       int           `json:"pid,omitempty"`
	Since     *time.Time    `json:"since,omitempty"`
	DataDir   string        `json:"data_dir,omitempty"`
	LogFile   string        `json:"log_file,omitempty"`
	Note      string        `json:"note,omitempty"`
	Databases []devDatabase `json:"databases"`
}

// devDatabase is one of the server's databases.
type devDatabase struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// devStatus shows the server's state.
func (a *app) devStatus(ctx context.Context, server *devdb.Project) error {
	status, err := server.Status(ctx)
	if err != nil {
		return project.DevServerError(err)
	}
	a.redactor.Connection(status.TCPURL)
	if a.flags.json {
		shown := devStatusJSON{
			Running: status.Running, URL: status.URL, Version: status.Version, PID: status.PID,
			DataDir: status.DataDir, LogFile: status.LogFile, Note: status.Note, Databases: []devDatabase{},
		}
		if status.Running {
			shown.Since = &status.Since
		}
		for _, d := range status.Databases {
			shown.Databases = append(shown.Databases, devDatabase(d))
		}
		a.object(shown)
		return nil
	}
	a.say("%s", strings.TrimRight(renderDevStatus(a.style, status, time.Now()), "\n"))
	return nil
}

// renderDevStatus shows a development server's state to people.
func renderDevStatus(p present.Style, s devdb.Status, now time.Time) string {
	if s.DataDir == "" {
		return "There is no development server yet; whimbrel dev start creates it.\n"
	}
	state := p.Warning("stopped")
	if s.Running {
		state = p.Good("running") + fmt.Sprintf(", pid %d, since %s, %s", s.PID, clock(s.Since), present.Ago(s.Since, now))
	}
	rows := [][]string{
		{p.Faint("server"), state}, {p.Faint("PostgreSQL"), s.Version}, {p.Faint("url"), s.URL},
		{p.Faint("data"), s.DataDir}, {p.Faint("log"), s.LogFile},
	}
	if s.Note != "" {
		rows = append(rows, []string{p.Faint("note"), s.Note})
	}
	for _, d := range s.Databases {
		rows = append(rows, []string{p.Faint("database"), fmt.Sprintf("%s, %.1f MB", d.Name, float64(d.Bytes)/1e6)})
	}
	return present.Table(p, nil, rows)
}
