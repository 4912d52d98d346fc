package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pattern"
)

// redacted stands where a password would.
const redacted = "xxxxx"

// redactor is the last line of defence: nothing prints passwords on purpose,
// and this replaces the ones it knows in everything that is printed. It may be
// used concurrently.
type redactor struct {
	mutex   sync.Mutex
	known   []string
	secrets []secret
	tokens  []string          // as they are written, with what stands in their place
	replace *strings.Replacer // of the tokens; nil where there are none
}

// secret is a password in every way in which it may be written.
type secret struct {
	// named is the password where it stands as one: in a URL or after a keyword.
	named *regexp.Regexp
	// bare is the password anywhere; nil for ordinary words.
	bare *regexp.Regexp
}

// learn makes the redactor know the passwords in a connection string.
func (r *redactor) learn(conninfo string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, password := range passwords(conninfo) {
		if slices.Contains(r.known, password) {
			continue
		}
		r.known = append(r.known, password)
		written := anyWriting(password)
		s := secret{named: regexp.MustCompile(`(://[^:/@\s]*:|(?i:password)\s*=\s*'?)` + written)}
		if !isWord(password) {
			s.bare = regexp.MustCompile(written)
		}
		r.secrets = append(r.secrets, s)
	}
}

// learnTokens makes the redactor know secrets that are no passwords of databases,
// in every way in which they may be written. They are many where there are alert
// sinks, and every line that is printed is looked through for them at once.
func (r *redactor) learnTokens(tokens []string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, token := range tokens {
		if isWord(token) {
			continue
		}
		r.tokens = append(r.tokens, token, redacted)
		if text, err := json.Marshal(token); err == nil {
			r.tokens = append(r.tokens, strings.Trim(string(text), `"`), redacted)
		}
	}
	if len(r.tokens) > 0 {
		r.replace = strings.NewReplacer(r.tokens...)
	}
}

// clean gives text without passwords.
func (r *redactor) clean(text string) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.replace != nil {
		text = r.replace.Replace(text)
	}
	for _, s := range r.secrets {
		text = s.named.ReplaceAllString(text, "${1}"+redacted)
		if s.bare != nil {
			text = s.bare.ReplaceAllString(text, redacted)
		}
	}
	return text
}

// writer guards w. Every Write must hold whole lines.
func (r *redactor) writer(w io.Writer) io.Writer { return guarded{r, w} }

type guarded struct {
	redactor *redactor
	w        io.Writer
}

// Write implements io.Writer.
func (g guarded) Write(p []byte) (int, error) {
	if _, err := io.WriteString(g.w, g.redactor.clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

var (
	urlPassword     = pattern.Of(`^[a-z0-9+]+://[^:/@]*:(.*)@`)
	keywordPassword = pattern.Of(`(?i)password\s*=\s*(?:'((?:\\.|[^'\\])*)'|([^\s&]+))`)
)

// passwords finds what may be a password in a connection string, be it well
// written or not.
func passwords(conninfo string) []string {
	var found []string
	if parsed, err := pgx.ParseConfig(conninfo); err == nil {
		found = append(found, parsed.Password)
	}
	if match := urlPassword().FindStringSubmatch(conninfo); match != nil {
		found = append(found, match[1])
	}
	for _, match := range keywordPassword().FindAllStringSubmatch(conninfo, -1) {
		found = append(found, match[1], match[2])
	}
	for _, password := range found {
		if decoded, err := url.PathUnescape(password); err == nil {
			found = append(found, decoded)
		}
	}
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// anyWriting is a regular expression for a password, each character of which
// may be as it is, percent-encoded, or escaped as in JSON.
func anyWriting(password string) string {
	var b strings.Builder
	for _, r := range password {
		plain := string(r)
		var percent strings.Builder
		for _, octet := range []byte(plain) {
			fmt.Fprintf(&percent, "%%%02X", octet)
		}
		fmt.Fprintf(&b, `(?:\\?%s|(?i:%s|\\u%04x))`, regexp.QuoteMeta(plain), percent.String(), r)
	}
	return b.String()
}

// isWord reports whether a password is an ordinary word, which may well stand
// in a text for another reason ("postgres", "password", "app"): it is replaced
// only where it stands as a password.
func isWord(password string) bool {
	letters := strings.Trim(password, "abcdefghijklmnopqrstuvwxyz_") == ""
	return len(password) < 5 || letters && len(password) < 12
}
