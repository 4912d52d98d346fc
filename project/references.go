package project

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// reference is ${NAME} or ${NAME:-default}.
var reference = plaintext.Pattern(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}`)

// expand replaces the references in a url of whimbrel.yaml. As in a shell, a
// default also stands for a variable that is set and empty. The message of an
// error names the variable, and never its value.
func expand(template string, lookup func(string) (string, bool)) (string, error) {
	var problem error
	from, to := userinfo(template)
	var b strings.Builder
	end := 0
	for _, at := range reference().FindAllStringSubmatchIndex(template, -1) {
		b.WriteString(template[end:at[0]])
		end = at[1]
		name := template[at[2]:at[3]]
		value, _ := lookup(name)
		if value == "" && at[4] >= 0 {
			value = template[at[4]+len(":-") : at[5]]
		} else if value == "" {
			problem = fmt.Errorf("the environment variable %s is not set", name)
			break
		}
		if at[0] >= from && at[1] <= to && !encoded(value) {
			problem = fmt.Errorf("the value of %s has characters that must be percent-encoded in a URL", name)
			break
		}
		b.WriteString(value)
	}
	if problem != nil {
		return "", problem
	}
	b.WriteString(template[end:])
	return b.String(), nil
}

// expandAddress replaces them in an address, by values without what secret stores leave
// around them, and says which had something. Between keywords a value may be quoted, and
// keeps its quotes.
func expandAddress(template string, lookup func(string) (string, bool)) (address string, remarks []string, err error) {
	strip := func(_, value string) (string, string) { return dial.UnwrapPassword(value) }
	if strings.Contains(template, "://") || reference().FindString(template) == template {
		strip = dial.UnwrapVariable
	}
	address, err = expand(template, dial.Unwrapping(lookup, strip, &remarks))
	return address, remarks, err
}

// userinfo is where user and password are in a URL: from the slashes to the
// last @ before the path.
func userinfo(template string) (from, to int) {
	start := strings.Index(template, "://")
	if start < 0 {
		return 0, 0
	}
	start += len("://")
	rest := reference().ReplaceAllStringFunc(template[start:], func(s string) string {
		return strings.Repeat("x",
			len(s))
	})
	if slash := strings.IndexAny(rest, "/?#"); slash >= 0 {
		rest = rest[:slash]
	}
	return start, start + max(0, strings.LastIndex(rest, "@"))
}

// encoded reports whether value can be in a URL as a user or a password.
func encoded(value string) bool {
	if strings.ContainsAny(value, ":/?#[]@ ") {
		return false
	}
	_, err := url.PathUnescape(value)
	return err == nil
}
