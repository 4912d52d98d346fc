package alert

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// Secrets are the parts of the target that must not be seen: anyone who prints
// texts of others about it replaces them.
func (t Target) Secrets() []string {
	secrets := []string{t.Secret}
	parsed, err := url.Parse(t.URL)
	if err != nil {
		return visible(t.URL, append(secrets, pieces(t.URL)...))
	}
	if parsed.User != nil {
		password, _ := parsed.User.Password()
		secrets = append(secrets, parsed.User.Username(), password)
	}
	if !slices.Contains(namingHosts, strings.SplitN(parsed.Scheme, "+", 2)[0]) {
		secrets = append(secrets, parsed.Hostname())
	}
	secrets = append(secrets, pieces(parsed.Path)...)
	secrets = append(secrets, pieces(parsed.Opaque)...)
	for _, values := range parsed.Query() {
		secrets = append(secrets, values...)
	}
	if parsed.Scheme == "exec" { // the program's name is none
		program := cmp.Or(parsed.Path, parsed.Opaque)
		secrets = append(slices.DeleteFunc(parsed.Query()["arg"], func(s string) bool { return s == program }), t.Secret)
	}
	return visible(t.URL, secrets)
}

// namingHosts are the schemes in whose URLs the host is one, and no token.
var namingHosts = []string{
	"http", "https", "generic", "smtp", "ntfy", "gotify", "mattermost", "matrix", "rocketchat", "opsgenie", "pagerduty",
	"zulip", "bark", "signal", "logger", "exec",
}

func pieces(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/:@?&=", r) })
}

// visible leaves out what is too short to be a secret, adds how the rest is
// written in URLs, and puts the longest first.
func visible(address string, secrets []string) []string {
	const shortest = 4
	all := []string{address}
	for _, secret := range secrets {
		all = append(all, secret, url.QueryEscape(secret), url.PathEscape(secret))
		if len(secret) > 16 {
			all = append(all, strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune("/:@-,", r) })...)
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < shortest })
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(all)
}

// Redact takes the target's secrets, and all of URLs but their host, out of a
// text: services are told their tokens in paths.
func (t Target) Redact(text string) string {
	return redact.Addresses(redact.Everywhere(text, t.Secrets()...))
}
