package present

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// Level says how a note is to be taken.
type Level string

// The levels.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelInfo    Level = "info"
)

// Note is something to be said about a place in a file, which platforms show beside the
// lines of a change.
type Note struct {
	Level Level  `json:"level"`
	Check string `json:"check"` // the stable id of what found it
	Title string `json:"title,omitempty"`
	// Message may have several lines.
	Message string `json:"message"`
	Path    string `json:"path,omitempty"`
	// Line, EndLine and Column count from 1; 0 where the note is about the file.
	Line    int `json:"line,omitempty"`
	EndLine int `json:"end_line,omitempty"`
	Column  int `json:"column,omitempty"`
	// Key is what the note is about: it stays the same when the place moves.
	Key string `json:"-"`
}

// GitHub renders notes as workflow commands. See
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message.
func GitHub(notes []Note) string {
	var b strings.Builder
	for _, n := range notes {
		level := string(n.Level)
		if n.Level == LevelInfo {
			level = "notice"
		}
		var properties []string
		add := func(name, value string) { properties = append(properties, name+"="+property(value)) }
		if n.Path != "" {
			add("file", filepath.ToSlash(n.Path))
		}
		for _, place := range []struct {
			name  string
			value int
		}{{"line", n.Line}, {"endLine", n.EndLine}, {"col", n.Column}} {
			if place.value > 0 {
				add(place.name, fmt.Sprint(place.value))
			}
		}
		if n.Title != "" {
			add("title", n.Title)
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", level, strings.Join(properties, ","), data(n.Message))
	}
	return b.String()
}

// data escapes what follows the double colon.
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// property escapes the value of a property.
func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}

// GitLab renders notes as a code quality artifact. See
// https://docs.gitlab.com/ci/testing/code_quality/.
func GitLab(notes []Note) ([]byte, error) {
	issues := []issue{}
	seen := map[string]int{}
	for _, n := range notes {
		issues = append(issues, issueOf(n, seen))
	}
	return json.MarshalIndent(issues, "", "  ")
}

type issue struct {
	Description string `json:"description"`
	Check       string `json:"check_name"`
	// Fingerprint tells GitLab which issues of two reports are the same one.
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
			End   int `json:"end,omitempty"`
		} `json:"lines"`
	} `json:"location"`
}

// issueOf makes one entry. seen tells apart those that are about the same.
func issueOf(n Note, seen map[string]int) issue {
	path := filepath.ToSlash(n.Path)
	key := path + "\x00" + n.Check + "\x00" + n.Key
	seen[key]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", key, seen[key]))
	i := issue{Description: n.Message, Check: n.Check, Fingerprint: hex.EncodeToString(sum[:16]), Severity: "minor"}
	switch n.Level {
	case LevelError:
		i.Severity = "critical"
	case LevelInfo:
		i.Severity = "info"
	}
	i.Location.Path, i.Location.Lines.Begin, i.Location.Lines.End = path, max(n.Line, 1), n.EndLine
	return i
}
