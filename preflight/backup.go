package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Backups are the details of backup_status.
type Backups struct {
	MaxAge time.Duration `json:"max_age_ms"`
	// Answers are of those that were asked, in their order; the last one decided,
	// if it could tell.
	Answers []Answer `json:"answers"`
}

// MarshalJSON writes durations in milliseconds.
func (b Backups) MarshalJSON() ([]byte, error) { return millis.Marshal(&b) }

// Answer is what a source said.
type Answer struct {
	Source Kind `json:"source"`
	// Told is set where the source could tell whether there is a backup.
	Told bool `json:"told"`
	// At is when the newest backup was complete; nil where there is none.
	At *time.Time `json:"at,omitempty"`
	// Backup is its name.
	Backup string `json:"backup,omitempty"`
	// Failing says why backups fail at present, though there may be older ones.
	Failing string `json:"failing,omitempty"`
	// Note is why the source could not tell, or what else there is to know.
	Note string `json:"note,omitempty"`
}

// Lines gives the answers. Those who could not tell are among what was not seen.
func (b Backups) Lines() []string {
	var out []string
	for _, a := range b.Answers {
		if !a.Told {
			continue
		}
		line := string(a.Source) + ": "
		if a.At == nil {
			line += "no backup"
		} else {
			line += strings.TrimSpace(a.Backup + " of " + a.At.UTC().Format("2006-01-02 15:04:05 MST"))
		}
		if a.Failing != "" {
			line += "; " + a.Failing
		}
		if a.Note != "" {
			line += " (" + a.Note + ")"
		}
		out = append(out, line)
	}
	return out
}

func lookBackup(ctx context.Context, v *visit) (finding, error) {
	settings := v.options.Settings
	var answers []Answer
	for _, source := range settings.Backups {
		answer, err := v.askSource(ctx, source)
		if err != nil {
			if ctx.Err() != nil || v.conn.IsClosed() {
				return finding{}, err
			}
			answer = Answer{Note: v.reason(err)}
		}
		answer.Source = source.Kind
		answers = append(answers, answer)
		if answer.Told {
			break
		}
	}
	return judgeBackup(answers, settings.MaxBackupAge, v.options.Now), nil
}

// judgeBackup passes where the first source that can tell knows of a backup that
// is young enough, and does not say that backups fail.
func judgeBackup(answers []Answer, limit time.Duration, now time.Time) finding {
	f := finding{details: Backups{MaxAge: limit, Answers: answers}}
	for _, a := range answers {
		if !a.Told {
			f.unseen = append(f.unseen, fmt.Sprintf("what %s knows: %s", a.Source, a.Note))
			continue
		}
		what := "the newest backup"
		if a.Source == Archiver {
			what = "the newest archived WAL"
		}
		switch {
		case a.Failing != "":
			f.message = fmt.Sprintf("%s says that %s", a.Source, a.Failing)
			f.remedy = "repair it and take a backup before migrating"
		case a.At == nil:
			f.message = fmt.Sprintf("%s knows of no backup", a.Source)
			f.remedy = "take a backup before migrating"
		case now.Sub(*a.At) >= limit:
			f.message = fmt.Sprintf("%s is %s old, as %s says; at most %s is allowed", what, present.Duration(now.Sub(*a.At)),
				a.Source,
				present.Duration(limit))
			f.remedy = "take a backup before migrating"
		default:
			f.passed = true
			f.message = fmt.Sprintf("%s is %s old, as %s says", what, present.Duration(now.Sub(*a.At)), a.Source)
			if a.Note != "" {
				f.message += "; " + a.Note
			}
		}
		return f
	}
	f.unknown = true
	f.message = "nobody could tell whether there is a backup"
	f.remedy = "name who knows in the setting backups: pgbackrest, wal_g, barman, a label, a manifest, a query or a " +
		"command"
	return f
}

// askSource asks one source. The error is for a source that could not be asked.
func (v *visit) askSource(ctx context.Context, s Source) (Answer, error) {
	switch s.Kind {
	case Archiver:
		return v.askArchiver(ctx)
	case PgBackRest, WALG, Barman:
		out, err := s.output(ctx, v.options.Settings.Patience)
		if err != nil {
			return Answer{}, err
		}
		switch s.Kind {
		case PgBackRest:
			return readPgBackRest(out, s.Stanza, v.server.SystemIdentifier)
		case WALG:
			return readWALG(out, v.server.SystemIdentifier)
		}
		return readBarman(out, s.Stanza, v.server.SystemIdentifier)
	case Label, Manifest:
		return v.askFile(ctx, s)
	}
	text, err := v.text(ctx, s)
	if err != nil || text == "" {
		return Answer{Told: err == nil}, err
	}
	at, err := v.moment(ctx, text)
	return Answer{Told: err == nil, At: at}, err
}

// askFile reads the label or the manifest of a base backup.
func (v *visit) askFile(ctx context.Context, s Source) (Answer, error) {
	text, err := os.ReadFile(s.Path)
	if errors.Is(err, os.ErrNotExist) {
		return Answer{Note: "no file " + s.Path}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	if s.Kind == Manifest {
		return readManifest(text, v.server.SystemIdentifier)
	}
	label, at, err := readLabel(string(text))
	if err != nil {
		return Answer{}, err
	}
	moment, err := v.moment(ctx, at)
	return Answer{Told: err == nil, At: moment, Backup: label, Note: "the time when it was begun"}, err
}

// moment reads a time: seconds since 1970, RFC 3339, or whatever the server takes
// for a time, with the abbreviations of zones that it knows.
func (v *visit) moment(ctx context.Context, text string) (*time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		at := time.UnixMilli(int64(seconds * 1000))
		return &at, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return &at, nil
	}
	var at time.Time
	err := v.read(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT $1::text::timestamptz", text).Scan(&at)
	})
	if err != nil {
		return nil, fmt.Errorf("invalid time %q: %w", present.OneLine(text, 60), err)
	}
	return &at, nil
}

// archiver is what pg_stat_archiver tells.
type archiver struct {
	Mode         string
	Archived     *time.Time
	ArchivedName string
	Failed       *time.Time
	FailedName   string
	Failures     int64
}

func (v *visit) askArchiver(ctx context.Context) (Answer, error) {
	var a archiver
	err := v.read(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx,
			`SELECT pg_catalog.current_setting('archive_mode'), last_archived_time, coalesce(last_archived_wal, ''),
			last_failed_time, coalesce(last_failed_wal, ''), failed_count FROM pg_catalog.pg_stat_archiver`).
			Scan(&a.Mode, &a.Archived, &a.ArchivedName, &a.Failed, &a.FailedName, &a.Failures)
	})
	if err != nil {
		return Answer{}, err
	}
	return a.answer(), nil
}

// answer says what follows: a failure that no success came after means that WAL
// piles up on the server and no point in time after it can be restored.
func (a archiver) answer() Answer {
	switch {
	case a.Mode == "off":
		return Answer{Note: "archive_mode is off"}
	case a.Failed != nil && (a.Archived == nil || a.Failed.After(*a.Archived)):
		return Answer{
			Told: true, At: a.Archived, Backup: a.ArchivedName,
			Failing: fmt.Sprintf("archiving fails: %s could not be archived at %s", a.FailedName,
				a.Failed.UTC().Format("2006-01-02 15:04:05 MST")),
		}
	case a.Archived == nil:
		return Answer{Note: "nothing was archived yet"}
	}
	return Answer{Told: true, At: a.Archived, Backup: a.ArchivedName, Note: "whether there is a base backup to it, it " +
		"does not know"}
}
