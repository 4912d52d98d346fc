// Package redact keeps secrets out of texts: passwords of connections, tokens, and the
// values of variables. Everything of whimbrel that shows a text of somebody else's, of
// the server, of a driver or of a program, passes it by a Redactor first.
package redact

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Mask is shown in the place of a secret.
const Mask = "xxxxx"

// Redactor replaces the secrets that it knows, however they are written. The zero
// value knows none. It may be used concurrently.
type Redactor struct {
	mutex    sync.Mutex
	known    map[string]bool
	rules    []rule
	values   []rule // of variables
	tokens   []string
	replacer *strings.Replacer // of the tokens; nil where there are none
}

// rule says what is put in the place of what an expression finds.
type rule struct {
	find *regexp.Regexp
	put  string
}

// Connection makes the passwords known that a connection string holds, be it a URL or
// keywords, well written or not, and those that the driver finds for it elsewhere.
func (r *Redactor) Connection(conninfo string) {
	for _, p := range passwords(conninfo) {
		r.Password(p)
	}
	for _, p := range pieces(conninfo) {
		r.learn(p, rule{wordly(regexp.QuoteMeta(p), p), Mask})
	}
}

// Password makes a password known. One that is an ordinary word, which may well be in a
// text for another reason ("postgres", "app"), is replaced only where a password is: in
// a URL, or after the keyword.
func (r *Redactor) Password(password string) {
	if password == "" {
		return
	}
	written := anyWriting(password)
	rules := []rule{{regexp.MustCompile(`(://[^:/@\s]*:|(?i:password)\s*=\s*'?)` + written), "${1}" + Mask}}
	if !isWord(password) {
		rules = append(rules, rule{regexp.MustCompile(written), Mask})
	}
	r.learn(password, rules...)
}

// Tokens makes secrets known that are no passwords of databases. They are many where
// there are alert sinks, so they are looked for all at once.
func (r *Redactor) Tokens(tokens ...string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, token := range tokens {
		if isWord(token) {
			continue
		}
		r.tokens = append(r.tokens, token, Mask)
		if text, err := json.Marshal(token); err == nil {
			r.tokens = append(r.tokens, strings.Trim(string(text), `"`), Mask)
		}
	}
	if len(r.tokens) > 0 {
		r.replacer = strings.NewReplacer(r.tokens...)
	}
}

// Values makes the values of variables known; they are replaced by references to the
// variables. Values that are short, or parts of values, are replaced only where they
// are whole: between quotes or parentheses.
func (r *Redactor) Values(variables map[string]string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.values = nil
	for _, v := range byLength(variables) {
		r.values = append(r.values, rulesOf(v.name, v.value)...)
	}
}

// Clean gives a text without what is known.
func (r *Redactor) Clean(text string) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.replacer != nil {
		text = r.replacer.Replace(text)
	}
	for _, known := range r.rules {
		text = known.find.ReplaceAllString(text, known.put)
	}
	for _, known := range r.values {
		text = known.find.ReplaceAllString(text, known.put)
	}
	if strings.Contains(text, "://") {
		text = inURL().ReplaceAllStringFunc(text, func(found string) string {
			to := inURL().FindStringSubmatch(found)
			if to[2] == "password" { // as in the form of a URL that a remedy shows
				return found
			}
			return to[1] + Mask + "@"
		})
	}
	return text
}

// inURL is a password in a URL, from the user to the last @ before the path, no matter who
// wrote it: a driver masks up to the first @, and shows the rest.
var inURL = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("(://[^\\s:/@\"'`]+:)([^\\s/\"'`]*)@") })

// Everywhere puts the mask in the place of texts, wherever they stand; where one holds
// another, in the place of the longer one.
func Everywhere(text string, secrets ...string) string {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return s == "" })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, Mask)
	}
	return text
}

// anyURL is a URL in a text of others: scheme, host and all before it, and the rest.
var anyURL = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s"'<>/?#]*)([^\s"'<>]*)`)
})

// Addresses leaves nothing but the host of every URL in a text.
func Addresses(text string) string {
	return anyURL().ReplaceAllStringFunc(text, func(found string) string {
		parts := anyURL().FindStringSubmatch(found)
		host := parts[2][strings.LastIndex(parts[2], "@")+1:]
		if parts[3] == "" {
			return parts[1] + host
		}
		return parts[1] + host + "/" + Mask
	})
}

// Writer guards w. Every Write must hold whole lines.
func (r *Redactor) Writer(w io.Writer) io.Writer { return guarded{r, w} }

type guarded struct {
	redactor *Redactor
	w        io.Writer
}

// Write implements io.Writer.
func (g guarded) Write(p []byte) (int, error) {
	if _, err := io.WriteString(g.w, g.redactor.Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// learn adds the rules of a secret, once; the longest secrets come first.
func (r *Redactor) learn(secret string, rules ...rule) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.known[secret] {
		return
	}
	if r.known == nil {
		r.known = map[string]bool{}
	}
	r.known[secret] = true
	r.rules = append(r.rules, rules...)
	slices.SortStableFunc(r.rules, func(a, b rule) int { return len(b.find.String()) - len(a.find.String()) })
}

// anyWriting is a regular expression for a secret, each character of which may be as it
// is, percent-encoded, or escaped as in JSON or between quotes.
func anyWriting(secret string) string {
	var b strings.Builder
	for _, r := range secret {
		plain := string(r)
		var percent strings.Builder
		for _, octet := range []byte(plain) {
			fmt.Fprintf(&percent, "%%%02X", octet)
		}
		escaped := `\\{0,2}` + regexp.QuoteMeta(plain)
		if r == '\'' || r == '"' { // doubled between quotes of SQL
			escaped = `\\{0,2}` + plain + plain + `?`
		}
		fmt.Fprintf(&b, `(?:%s|(?i:%s|\\u%04x)`, escaped, percent.String(), r)
		if control, ok := map[rune]string{'\n': `\\n`, '\t': `\\t`, '\r': `\\r`, ' ': `\+`}[r]; ok {
			b.WriteString("|" + control)
		}
		b.WriteString(")")
	}
	return b.String()
}

// isWord reports whether a secret is an ordinary word.
func isWord(secret string) bool {
	letters := strings.Trim(secret, "abcdefghijklmnopqrstuvwxyz_") == ""
	return len(secret) < 5 || letters && len(secret) < 12
}

// wordly is an expression for a text that is not a part of a longer word.
func wordly(expression, text string) *regexp.Regexp {
	before, after := "", ""
	if isLetter(text[0]) {
		before = `\b`
	}
	if isLetter(text[len(text)-1]) {
		after = `\b`
	}
	return regexp.MustCompile(before + expression + after)
}

func isLetter(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
