package main

import (
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// redacted stands where a password would.
const redacted = "xxxxx"

// redactor is the last line of defence: nothing prints passwords on purpose,
// and this replaces the ones it knows in everything that is printed. It may be
// used concurrently.
type redactor struct {
	mutex   sync.Mutex
	needles []string
}

// learn makes the redactor know the passwords in a connection string, as they
// stand there, decoded, and encoded.
func (r *redactor) learn(conninfo string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, password := range passwords(conninfo) {
		for _, form := range forms(password) {
			r.add(":" + form + "@")
			r.add("password=" + form)
			r.add("password='" + form + "'")
			if !isWord(password) {
				r.add(form)
			}
		}
	}
	// The longest first, so that no part of one survives the replacement of another.
	slices.SortStableFunc(r.needles, func(a, b string) int { return len(b) - len(a) })
}

func (r *redactor) add(needle string) {
	if !slices.Contains(r.needles, needle) {
		r.needles = append(r.needles, needle)
	}
}

// clean gives text without passwords.
func (r *redactor) clean(text string) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, needle := range r.needles {
		if strings.Contains(text, needle) {
			replacement := redacted
			if strings.HasPrefix(needle, ":") && strings.HasSuffix(needle, "@") {
				replacement = ":" + redacted + "@"
			}
			text = strings.ReplaceAll(text, needle, replacement)
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
	urlPassword     = regexp.MustCompile(`^[a-z0-9+]+://[^:/@]*:(.*)@`)
	keywordPassword = regexp.MustCompile(`(?i)password\s*=\s*(?:'((?:\\.|[^'\\])*)'|([^\s&]+))`)
)

// passwords finds what may be a password in a connection string, be it well
// written or not.
func passwords(conninfo string) []string {
	var found []string
	if parsed, err := pgx.ParseConfig(conninfo); err == nil {
		found = append(found, parsed.Password)
	}
	if match := urlPassword.FindStringSubmatch(conninfo); match != nil {
		found = append(found, match[1])
	}
	for _, match := range keywordPassword.FindAllStringSubmatch(conninfo, -1) {
		found = append(found, match[1], match[2])
	}
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// forms are the ways in which a password may turn up in a text.
func forms(password string) []string {
	all := []string{password}
	if decoded, err := url.PathUnescape(password); err == nil {
		all = append(all, decoded)
	}
	for _, plain := range slices.Clone(all) {
		userinfo := strings.TrimPrefix(url.UserPassword("", plain).String(), ":")
		all = append(all, url.PathEscape(plain), url.QueryEscape(plain), userinfo)
		if quoted, err := json.Marshal(plain); err == nil {
			all = append(all, strings.Trim(string(quoted), `"`))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// isWord reports whether a password is an ordinary word, which may well stand
// in a text for another reason ("postgres", "password", "app"): it is replaced
// only where it stands as a password.
func isWord(password string) bool {
	letters := strings.Trim(password, "abcdefghijklmnopqrstuvwxyz_") == ""
	return len(password) < 5 || letters && len(password) < 12
}
