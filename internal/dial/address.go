package dial

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// AddressError says what is wrong with an address that a driver would read otherwise
// than who wrote it meant it, and what to write. It shows no password.
type AddressError struct{ Problem, Remedy string }

func (e *AddressError) Error() string { return e.Problem }

// Parse reads the address of a database, a URL or keywords, as libpq does; "" is what
// the PG* variables say. Every address of a user's is read by it. What is libpq's is
// done or left undone as libpq would; what PostgreSQL may know as a setting is sent to
// the server as one; what is another program's, and another scheme, is an AddressError.
// Other errors are the driver's, which may show what it has read.
func Parse(address string) (*pgx.ConnConfig, error) {
	if err := refuseForm(address); err != nil {
		return nil, err
	}
	if !isURL(address) { // blanks around keywords belong to nothing
		address = strings.TrimSpace(address)
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		if err := wrappedVariable(nil); err != nil {
			return nil, err
		}
		if strings.Contains(err.Error(), "sslmode is invalid") {
			return nil, oneOf("sslmode", "", "write one of disable, allow, prefer, require, verify-ca and verify-full; "+
				"what node-postgres calls no-verify is require")
		}
		return nil, err
	}
	if err := refuseParameters(config.RuntimeParams); err != nil {
		return nil, err
	}
	if err := wrappedVariable(config); err != nil {
		return nil, err
	}
	if err := refuseHost(config); err != nil {
		return nil, err
	}
	return settle(address, config)
}

// refuseHost refuses a part of an address that is more than that part.
func refuseHost(config *pgx.ConnConfig) error {
	switch {
	case isURL(config.Host), isURL(config.Database):
		return &AddressError{
			"a whole address is where a part of one belongs, as the host or the name of the database",
			"give it as --database-url or DATABASE_URL",
		}
	case hostAndPort().MatchString(config.Host):
		return &AddressError{
			"the host has a port behind it",
			"give the port by itself: port=5432, DB_PORT or PGPORT",
		}
	}
	return nil
}

// hostAndPort is no IPv6 address, which has several colons, and no folder of a socket.
var hostAndPort = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^:/]+:[0-9]+$`) })

func isURL(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// scheme is how a URL begins, or what is meant as one.
var scheme = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^(?i:([a-z][a-z0-9+.-]*)://|((?:jdbc|r2dbc|prisma|postgres|postgresql|mysql|sqlite|file)[a-z0-9+.-]*):)`)
})

// semicolons is how an address of .NET begins. A password may have semicolons.
var semicolons = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z]+)=[^;\s]*;\s*[A-Za-z][A-Za-z ]*=`)
})

// assignment is the line of a file of variables, or of a shell, in place of its value.
var assignment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^(?:(?:export|set|setenv|declare -x)\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*["']?postgres(?:ql)?://`)
})

// refuseForm refuses what a driver would take for keywords and is not meant as such.
func refuseForm(address string) error {
	bare, around := Unwrap(address)
	if around != "" && (isURL(bare) || strings.Contains(around, "a pair of")) {
		return &AddressError{
			"the address of the database is wrapped: there is " + around + " around it",
			"give it without, as from a file by $(cat FILE), and without quotes inside quotes",
		}
	}
	if isURL(bare) {
		return nil
	}
	if found := assignment().FindStringSubmatch(bare); found != nil && !isLibpq(found[1]) {
		return &AddressError{
			"the address has the name of a variable before it: " + found[1],
			"give the value alone, postgres://user:password@host:5432/database",
		}
	}
	if found := scheme().FindStringSubmatch(bare); found != nil {
		return otherScheme(found[1] + found[2])
	}
	if found := semicolons().FindStringSubmatch(bare); found != nil && found[1] != "password" &&
		(isLibpq(strings.ToLower(found[1])) || foreignOf(found[1]).instead != "") {
		return &AddressError{
			"the address has its parts between semicolons, as .NET writes them",
			"write postgres://user:password@host:5432/database, with special characters percent-encoded, or keywords with " +
				"blanks between them, host=… dbname=…",
		}
	}
	return nil
}

// otherScheme is the refusal of a URL that is none of PostgreSQL's.
func otherScheme(name string) error {
	remedy := "write postgres://user:password@host:5432/database, with special characters of the password percent-encoded"
	switch lower := strings.ToLower(name); {
	case strings.HasPrefix(lower, "jdbc"):
		remedy += "; user and password, which JDBC has behind the ?, go before the host"
	case strings.HasPrefix(lower, "prisma"):
		remedy = "that is the address of Prisma's service and not of a database: give the database's own, " +
			"postgres://user:password@host:5432/database"
	case lower != "postgres" && lower != "postgresql" && !strings.HasPrefix(lower, "postgres"):
		remedy = "whimbrel migrates PostgreSQL, whose addresses are postgres://user:password@host:5432/database"
	case strings.Contains(name, "+"):
		remedy = "take the driver away from the scheme: " + remedy
	}
	return &AddressError{fmt.Sprintf("the address begins with %s:, which is not how one of PostgreSQL's begins", name),
		remedy}
}

// Unwrap takes off what secret stores and shells leave around a value, and says in
// words what that was; "" where there was nothing.
func Unwrap(value string) (bare, around string) {
	bare = value
	var found []string
	add := func(what string) {
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	for {
		trimmed := strings.Trim(bare, " \t\r\n\v\f\ufeff\u00a0\x00")
		if around := strings.Replace(bare, trimmed, "", 1); strings.ContainsAny(around, "\r\n") {
			add("a line end")
		} else if around != "" {
			add("white space")
		}
		bare = trimmed
		switch inner, what := unpaired(bare); {
		case what != "":
			bare = inner
			add(what)
		case isURL(bare) && strings.HasSuffix(bare, `\n`): // as JSON has it
			bare = strings.TrimSuffix(strings.TrimSuffix(bare, `\n`), `\r`)
			add("a line end")
		default:
			return bare, strings.Join(found, " and ")
		}
	}
}

// unpaired takes off one pair of what is around a value, and says what that was.
func unpaired(value string) (inner, what string) {
	for _, pair := range [][3]string{
		{`"`, `"`, "a pair of quotes"}, {`'`, `'`, "a pair of quotes"}, {"`", "`", "a pair of quotes"},
		{"“", "”", "a pair of quotes"}, {"‘", "’", "a pair of quotes"}, {"<", ">", "a pair of brackets"},
	} {
		inner, begins := strings.CutPrefix(value, pair[0])
		inner, ends := strings.CutSuffix(inner, pair[1])
		if begins && ends && (pair[0] != "<" || isURL(inner)) {
			return inner, pair[2]
		}
	}
	return value, ""
}

// UnwrapPassword takes off line ends only: anything else may be of the password.
func UnwrapPassword(value string) (bare, around string) {
	if bare = strings.Trim(value, "\r\n"); bare != value {
		around = "a line end"
	}
	return bare, around
}

// PGVariables are those of PostgreSQL's variables that name or refine an address.
var PGVariables = []string{
	"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE", "PGSERVICE", "PGSERVICEFILE",
	"PGPASSFILE", "PGSSLROOTCERT",
	"PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS", "PGCHANNELBINDING", "PGREQUIREAUTH", "PGAPPNAME", "PGTZ",
}

// UnwrapVariable does what Unwrap does with the value of a variable by that name.
func UnwrapVariable(name, value string) (bare, around string) {
	if strings.Contains(strings.ToUpper(name), "PASSWORD") {
		return UnwrapPassword(value)
	}
	return Unwrap(value)
}

// wrappedVariable refuses a PG* variable that is wrapped, where a configuration has its
// value, or where there is none because it could not be read.
func wrappedVariable(config *pgx.ConnConfig) error {
	for _, name := range PGVariables {
		value := os.Getenv(name)
		_, around := UnwrapVariable(name, value)
		if around == "" || config != nil && !slices.Contains([]string{config.Host, config.Database, config.User,
			config.Password}, value) {
			continue
		}
		return &AddressError{"the variable " + name + " is wrapped: there is " + around + " around its value",
			"set it without"}
	}
	return nil
}

// Variables makes an address of PREFIX_HOST, _PORT, _NAME, _USER and _PASSWORD; what is
// not set is localhost, 5432, the given name, and postgres. It is "" if none is set.
func Variables(prefix, name string, lookup func(string) (string, bool)) string {
	var words []string
	given := false
	for _, part := range [][3]string{
		{"host", "HOST", "localhost"}, {"port", "PORT", "5432"}, {"dbname", "NAME", name}, {"user", "USER", "postgres"},
		{"password", "PASSWORD", ""},
	} {
		value, _ := lookup(prefix + part[1])
		given = given || value != ""
		if value == "" {
			value = part[2]
		}
		if value != "" {
			words = append(words, part[0]+"="+quoted(value))
		}
	}
	if !given {
		return ""
	}
	return strings.Join(words, " ")
}

// quoted is a value behind a keyword.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// with is the address with another parameter, which counts instead of what it says of it.
func with(address, name, value string) string {
	if !isURL(address) {
		return address + " " + name + "=" + quoted(value)
	}
	mark := "?"
	if strings.Contains(address[strings.LastIndexByte(address, '@')+1:], "?") {
		mark = "&"
	}
	return address + mark + name + "=" + url.PathEscape(value)
}

// setting is how PostgreSQL names a setting, an extension's or an application's too.
var setting = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)
})

// plain is a value, or a name, that is no secret and can be shown.
var plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`) })

// refuseParameters refuses what neither libpq nor a server knows. All of it is named at
// once.
func refuseParameters(parameters map[string]string) error {
	var names, instead []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if isLibpq(name) {
			continue
		}
		if f := foreignOf(name); f.instead != "" {
			names = append(names, name+" (of "+f.of+")")
			text := f.instead
			if strings.Contains(text, "VALUE") && plain().MatchString(parameters[name]) {
				text = strings.ReplaceAll(text, "VALUE", parameters[name])
			}
			instead = append(instead, name+": "+text)
			continue
		}
		if setting().MatchString(name) {
			continue
		}
		if !plain().MatchString(name) { // it may be a piece of a password
			return &AddressError{
				"the address has a parameter whose name is none of PostgreSQL's",
				"write postgres://user:password@host:5432/database?parameter=value, or keywords, host=… dbname=…; " +
					"special characters of the password must be percent-encoded, or stand between single quotes",
			}
		}
		names = append(names, name)
		instead = append(instead, name+": take it away")
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return &AddressError{"the address has a parameter that is not PostgreSQL's: " + names[0], strings.Join(instead, "; ")}
	}
	return &AddressError{"the address has parameters that are not PostgreSQL's: " + strings.Join(names, ", "),
		strings.Join(instead, "; ")}
}

// Unwrapping looks variables up, takes off what is around their values, and adds to the
// remarks what that was.
func Unwrapping(lookup func(string) (string, bool), strip func(name, value string) (bare, around string),
	remarks *[]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, set := lookup(name)
		bare, around := strip(name, value)
		if around != "" {
			*remarks = append(*remarks, LeftOut(name, around))
		} else if _, more := Unwrap(bare); more != "" {
			*remarks = append(*remarks, name+" has "+more+" around its value, which is taken for a part of it")
		}
		return bare, set
	}
}

// LeftOut says of what something was around the value, which is taken off.
func LeftOut(what, around string) string {
	return what + " had " + around + " around its value, which is left out"
}
