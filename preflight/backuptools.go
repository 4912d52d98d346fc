package preflight

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// anotherCluster is an answer about a server that is not the one of the visit.
func anotherCluster(whose string) Answer {
	return Answer{Note: "its backups are of another cluster (system identifier " + whose + ")"}
}

// readPgBackRest reads what `pgbackrest info --output=json` prints: an array of
// stanzas, each with its clusters (db) and backups, whose times are in seconds.
// See https://pgbackrest.org/command.html#command-info.
func readPgBackRest(text []byte, stanza, system string) (Answer, error) {
	type database struct {
		ID     int         `json:"id"`
		Key    int         `json:"repo-key"`
		System json.Number `json:"system-id"`
	}
	var stanzas []struct {
		Name   string `json:"name"`
		Status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"status"`
		Databases []database `json:"db"`
		Backups   []struct {
			Label    string   `json:"label"`
			Error    bool     `json:"error"`
			Database database `json:"database"`
			Time     struct {
				Stop int64 `json:"stop"`
			} `json:"timestamp"`
		} `json:"backup"`
	}
	if err := json.Unmarshal(text, &stanzas); err != nil {
		return Answer{}, fmt.Errorf("the output of pgbackrest cannot be read: %w", err)
	}
	var answer Answer
	other := ""
	for _, s := range stanzas {
		if stanza != "" && s.Name != stanza {
			continue
		}
		if len(s.Backups) == 0 {
			answer.Told = true
			answer.Note = fmt.Sprintf("stanza %s: %s", s.Name, s.Status.Message)
		}
		for _, b := range s.Backups {
			of := ""
			for _, d := range s.Databases {
				if d.ID == b.Database.ID && (d.Key == b.Database.Key || b.Database.Key == 0) {
					of = d.System.String()
				}
			}
			if of != "" && system != "" && of != system {
				other = of
				continue
			}
			answer.Told = true
			if !b.Error {
				answer.newer(s.Name+" "+b.Label, time.Unix(b.Time.Stop, 0))
			}
		}
	}
	switch {
	case !answer.Told && other != "":
		return anotherCluster(other), nil
	case !answer.Told && stanza != "":
		return Answer{Note: "no stanza " + stanza}, nil
	case !answer.Told:
		return Answer{Note: "no stanza"}, nil
	}
	return answer, nil
}

// readWALG reads what `wal-g backup-list --detail --json` prints: an array of
// backups; nothing at all where there is none. Without --detail there is only
// the time when the backup was last written to. See https://wal-g.readthedocs.io.
func readWALG(text []byte, system string) (Answer, error) {
	var backups []struct {
		Name     string      `json:"backup_name"`
		Modified time.Time   `json:"time"`
		Finished time.Time   `json:"finish_time"`
		System   json.Number `json:"system_identifier"`
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return Answer{Told: true}, nil
	}
	if err := json.Unmarshal(text, &backups); err != nil {
		return Answer{}, fmt.Errorf("the output of wal-g cannot be read: %w", err)
	}
	answer := Answer{Told: true}
	other := ""
	for _, b := range backups {
		of := b.System.String()
		if of != "" && of != "0" && system != "" && of != system {
			other = of
			continue
		}
		at := b.Finished
		if at.IsZero() {
			at = b.Modified
		}
		if at.IsZero() {
			return Answer{}, fmt.Errorf("backup %s has no end time that can be read", b.Name)
		}
		answer.newer(b.Name, at)
	}
	if answer.At == nil && other != "" {
		return anotherCluster(other), nil
	}
	return answer, nil
}

// barmanBackup is a backup as `barman -f json list-backups` and `barman diagnose`
// write it.
type barmanBackup struct {
	ID      string      `json:"backup_id"`
	Status  string      `json:"status"`
	Seconds json.Number `json:"end_time_timestamp"`
	ISO     string      `json:"end_time_iso"`
	Ended   string      `json:"end_time"`
	System  json.Number `json:"systemid"`
}

// readBarman reads what `barman -f json list-backups SERVER` prints (an object of
// arrays, by server) or `barman diagnose` (servers, each with an object of
// backups). See https://docs.pgbarman.org.
func readBarman(text []byte, server, system string) (Answer, error) {
	servers, err := barmanServers(text)
	if err != nil {
		return Answer{}, fmt.Errorf("the output of barman cannot be read: %w", err)
	}
	if server == "" && len(servers) > 1 {
		return Answer{Note: fmt.Sprintf("it knows %d servers: say which one by the setting stanza", len(servers))}, nil
	}
	var answer Answer
	other := ""
	for name, backups := range servers {
		if server != "" && name != server {
			continue
		}
		answer.Told = true
		for _, b := range backups {
			if of := b.System.String(); of != "" && system != "" && of != system {
				other = of
				continue
			}
			// While WAL for it is still to come, the copy is complete and cannot be
			// restored yet.
			if b.Status != "DONE" {
				continue
			}
			at, err := b.ended()
			if err != nil {
				return Answer{}, err
			}
			answer.newer(name+" "+b.ID, at)
		}
	}
	switch {
	case !answer.Told:
		return Answer{Note: "no server " + server}, nil
	case answer.At == nil && other != "":
		return anotherCluster(other), nil
	}
	return answer, nil
}

func barmanServers(text []byte) (map[string][]barmanBackup, error) {
	var diagnosis struct {
		Servers map[string]struct {
			Backups map[string]barmanBackup `json:"backups"`
		} `json:"servers"`
	}
	if err := json.Unmarshal(text, &diagnosis); err == nil && diagnosis.Servers != nil {
		servers := map[string][]barmanBackup{}
		for name, s := range diagnosis.Servers {
			servers[name] = []barmanBackup{}
			for id, b := range s.Backups {
				b.ID = id
				servers[name] = append(servers[name], b)
			}
		}
		return servers, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	servers := map[string][]barmanBackup{}
	for name, value := range raw {
		if strings.HasPrefix(name, "_") {
			continue // what barman has to say besides
		}
		var list []barmanBackup
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, err
		}
		servers[name] = list
	}
	return servers, nil
}

// ended is the backup's end: in seconds, in ISO 8601, or as ctime() writes it, in
// the time zone of the machine that barman runs on.
func (b barmanBackup) ended() (time.Time, error) {
	if seconds, err := b.Seconds.Int64(); err == nil {
		return time.Unix(seconds, 0), nil
	}
	if at, err := time.Parse(time.RFC3339, b.ISO); err == nil {
		return at, nil
	}
	if at, err := time.ParseInLocation(time.ANSIC, b.Ended, time.Local); err == nil {
		return at, nil
	}
	return time.Time{}, fmt.Errorf("backup %s has no end time that can be read", b.ID)
}

// readManifest reads a backup_manifest. It has no time of its own; among its files is backup_label, which was written
// when the backup was made. See "Backup Manifest Format" in PostgreSQL's documentation.
func readManifest(text []byte, system string) (Answer, error) {
	var manifest struct {
		Version int         `json:"PostgreSQL-Backup-Manifest-Version"`
		System  json.Number `json:"System-Identifier"`
		Files   []struct {
			Modified string `json:"Last-Modified"`
		} `json:"Files"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return Answer{}, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if manifest.Version == 0 {
		return Answer{}, errors.New("the file is not a backup manifest")
	}
	if of := manifest.System.String(); of != "" && system != "" && of != system {
		return anotherCluster(of), nil
	}
	answer := Answer{Told: true}
	for _, f := range manifest.Files {
		// Always in GMT.
		at, err := time.Parse("2006-01-02 15:04:05", strings.TrimSuffix(f.Modified, " GMT"))
		if err != nil {
			return Answer{}, fmt.Errorf("the manifest has a time that cannot be read: %q", present.OneLine(f.Modified, 40))
		}
		answer.newer("base backup", at)
	}
	return answer, nil
}

// readLabel gives the label and the start time of a backup_label file.
func readLabel(text string) (label, at string, err error) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "LABEL":
			label = value
		case "START TIME":
			at = value
		}
	}
	if at == "" {
		return "", "", errors.New("the file is not a backup label: it has no START TIME")
	}
	return label, at, nil
}

// newer takes a backup over if it is the newest so far.
func (a *Answer) newer(name string, at time.Time) {
	if !at.IsZero() && (a.At == nil || at.After(*a.At)) {
		a.Backup, a.At = name, &at
	}
}
