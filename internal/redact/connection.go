package redact

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// apart are the characters at which a password falls to pieces where it is not
// percent-encoded, or not quoted.
const apart = "@/#?%:[] \\'&"

// keyword is a password behind a keyword, quoted or up to the next keyword.
var keyword = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)password\s*=\s*(?:'((?:\\.|[^'\\])*)'|([^\s&]+))`)
})

// next begins another keyword, or another parameter of a URL.
var next = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(?:\s+|&)[a-z_]+\s*=`) })

// passwords finds what may be a password in a connection string, as it is written and
// as the driver reads it.
func passwords(conninfo string) []string {
	found := []string{written(conninfo)}
	if parsed, err := pgx.ParseConfig(conninfo); err == nil {
		found = append(found, parsed.Password)
	}
	for _, match := range keyword().FindAllStringSubmatch(conninfo, -1) {
		found = append(found, match[1], match[2])
	}
	found = append(found, stretched(conninfo)...)
	for _, password := range found {
		if decoded, err := url.PathUnescape(password); err == nil {
			found = append(found, decoded)
		}
	}
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(s string) bool { return s == "" })
}

// pieces are the parts of passwords that are not written as they must be: what reads
// the connection string takes them for a host, a port, the name of a database.
func pieces(conninfo string) []string {
	var found []string
	broken := append([]string{written(conninfo)}, stretched(conninfo)...)
	for _, password := range broken {
		_, err := url.PathUnescape(password)
		if err == nil && !strings.ContainsAny(password, "@/#?[] &") {
			continue
		}
		found = append(found, strings.FieldsFunc(password, func(r rune) bool { return strings.ContainsRune(apart, r) })...)
		for i := range len(password) - 2 {
			if password[i] == '%' { // what an error calls an invalid escape
				found = append(found, password[i:i+3])
			}
		}
	}
	return slices.DeleteFunc(found, func(s string) bool { return len(s) < 2 })
}

// written is the password in a URL as who wrote it meant it: all from the user to the
// last @ before the path, whatever a parser makes of it.
func written(conninfo string) string {
	scheme, rest, isURL := strings.Cut(conninfo, "://")
	if !isURL || strings.ContainsAny(scheme, " =") {
		return ""
	}
	rest = withoutQuery(rest)
	end := strings.LastIndexByte(rest, '@')
	if end < 0 {
		return ""
	}
	user, password, _ := strings.Cut(rest[:end], ":")
	if strings.Contains(user, "/") {
		return ""
	}
	return password
}

// withoutQuery takes the parameters off a URL. A ? that belongs to a password begins none.
func withoutQuery(rest string) string {
	at := strings.LastIndexByte(rest, '?')
	if at < 0 {
		return rest
	}
	for parameter := range strings.SplitSeq(rest[at+1:], "&") {
		if key, _, ok := strings.Cut(parameter, "="); !ok || strings.Trim(strings.ToLower(key),
			"abcdefghijklmnopqrstuvwxyz_.-") != "" {
			return rest
		}
	}
	authority, _, _ := strings.Cut(rest[:at], "/")
	_, port, _ := strings.Cut(authority, ":")
	if !strings.Contains(rest[:at], "@") && strings.Trim(port, "0123456789") != "" && !strings.HasPrefix(authority,
		"[") && !strings.Contains(authority, ",") {
		return rest // that is the beginning of a password and no port
	}
	return rest[:at]
}

// stretched are passwords behind a keyword up to the next keyword, where that is more
// than a parser reads: blanks need quotes, and & must be encoded in a URL.
func stretched(conninfo string) []string {
	var found []string
	for _, match := range keyword().FindAllStringSubmatchIndex(conninfo, -1) {
		if match[4] < 0 { // it is quoted
			continue
		}
		all := conninfo[match[4]:]
		if end := next().FindStringIndex(all); end != nil {
			all = all[:end[0]]
		}
		if all = strings.TrimSpace(all); all != conninfo[match[4]:match[5]] {
			found = append(found, all)
		}
	}
	return found
}
