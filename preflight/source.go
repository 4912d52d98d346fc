package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Kind is what sort of source can tell of a backup.
type Kind string

// The kinds of sources.
const (
	// Archiver is the server's own pg_stat_archiver: when WAL was last archived.
	// It knows nothing of the base backup that is needed beside the WAL.
	Archiver Kind = "pg_stat_archiver"
	// PgBackRest, WALG and Barman are asked for their list of backups as JSON.
	PgBackRest Kind = "pgbackrest"
	WALG       Kind = "wal_g"
	Barman     Kind = "barman"
	// Label is a backup_label file, Manifest a backup_manifest file of a base backup.
	Label    Kind = "label"
	Manifest Kind = "manifest"
	// Query is SQL that gives a time in its first row and column.
	Query Kind = "query"
	// Command is a program that prints a time.
	Command Kind = "command"
)

// Source is who is asked for the newest backup.
type Source struct {
	Kind Kind `yaml:"kind" json:"kind"`
	// Stanza is pgBackRest's name of the cluster, or Barman's of the server.
	Stanza string `yaml:"stanza" json:"stanza,omitempty"`
	// Command is the program with its arguments. It is started as it is, without a
	// shell. For pgBackRest, WAL-G and Barman it replaces the usual one, where it
	// is not in PATH or has to be run through something else (ssh, sudo, docker).
	Command []string `yaml:"command" json:"command,omitempty"`
	// Path is the file of a Label or a Manifest.
	Path string `yaml:"path" json:"path,omitempty"`
	// Query is the SQL of a Query.
	Query string `yaml:"query" json:"query,omitempty"`
}

// check refuses a source that cannot work.
func (s Source) check() error {
	switch s.Kind {
	case Archiver, PgBackRest, WALG:
	case Barman:
		if s.Stanza == "" && len(s.Command) == 0 {
			return errors.New("barman needs a stanza: Barman's name of the server")
		}
	case Label, Manifest:
		if s.Path == "" {
			return fmt.Errorf("%s needs a path", s.Kind)
		}
	case Query:
		if strings.TrimSpace(s.Query) == "" {
			return errors.New("query needs a query")
		}
	case Command:
		if len(s.Command) == 0 || s.Command[0] == "" {
			return errors.New("command needs a command: a list of the program and its arguments")
		}
	default:
		return fmt.Errorf("unknown kind %q; it is one of %s, %s, %s, %s, %s, %s, %s, %s", s.Kind,
			Archiver, PgBackRest, WALG, Barman, Label, Manifest, Query, Command)
	}
	return nil
}

// arguments is the program to start, with its arguments.
func (s Source) arguments() []string {
	if len(s.Command) > 0 {
		return s.Command
	}
	switch s.Kind {
	case PgBackRest:
		if s.Stanza == "" {
			return []string{"pgbackrest", "info", "--output=json"}
		}
		return []string{"pgbackrest", "info", "--output=json", "--stanza=" + s.Stanza}
	case WALG:
		return []string{"wal-g", "backup-list", "--detail", "--json"}
	case Barman:
		return []string{"barman", "-f", "json", "list-backups", s.Stanza}
	}
	return nil
}

// mostOutput is how much of a program's output is read.
const mostOutput = 64 << 20

// output runs a source's program and gives what it printed. It ends the program
// when the patience is over.
func (s Source) output(ctx context.Context, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	arguments := s.arguments()
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.WaitDelay = time.Second
	printed, complaint := &limited{most: mostOutput}, &limited{most: 4096}
	command.Stdout, command.Stderr = printed, complaint
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s gave no answer within %s", arguments[0], present.Duration(patience))
	case err != nil:
		if said := present.OneLine(complaint.String(), 200); said != "" {
			return nil, fmt.Errorf("%s: %w: %s", arguments[0], err, said)
		}
		return nil, fmt.Errorf("%s: %w", arguments[0], err)
	case printed.cut:
		return nil, fmt.Errorf("%s printed more than %s", arguments[0], present.Bytes(mostOutput))
	}
	return printed.Bytes(), nil
}

// limited keeps the beginning of what is written to it.
type limited struct {
	bytes.Buffer
	most int
	cut  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.most - l.Len(); room < len(p) {
		l.cut = true
		_, _ = l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}

// text gives the one value of a query, or what a command printed.
func (v *visit) text(ctx context.Context, s Source) (string, error) {
	if s.Kind == Command {
		out, err := s.output(ctx, v.options.Settings.Patience)
		return strings.TrimSpace(string(out)), err
	}
	var value *string
	err := v.read(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, s.Query, pgx.QueryResultFormats{pgx.TextFormatCode})
		if err != nil {
			return err
		}
		defer rows.Close()
		if rows.Next() {
			if raw := rows.RawValues(); len(raw) > 0 && raw[0] != nil {
				text := string(raw[0])
				value = &text
			}
		}
		rows.Close()
		return rows.Err()
	})
	if err != nil || value == nil {
		return "", err
	}
	return strings.TrimSpace(*value), nil
}
