package project

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
)

// Name is what the file that describes a project is called.
const Name = "whimbrel.yaml"

// File is a whimbrel.yaml. Its zero value is that of a project without one.
type File struct {
	Migrations         folders                `yaml:"migrations"`
	Subfolders         bool                   `yaml:"subfolders"`
	Hooks              string                 `yaml:"hooks"`
	Format             string                 `yaml:"format"`
	Variables          values                 `yaml:"variables"`
	Table              string                 `yaml:"table"`
	OutOfOrder         whimbrel.OutOfOrder    `yaml:"out_of_order"`
	MaxStall           time.Duration          `yaml:"max_stall"`
	RetryBudget        time.Duration          `yaml:"retry_budget"`
	LockWait           time.Duration          `yaml:"lock_wait"`
	MaxReplicaLag      time.Duration          `yaml:"max_replica_lag"`
	Scripts            ScriptLimits           `yaml:"scripts"`
	Checks             Checks                 `yaml:"checks"`
	Lint               Lint                   `yaml:"lint"`
	Sandbox            Sandbox                `yaml:"sandbox"`
	Alerts             Alerts                 `yaml:"alerts"`
	Log                Log                    `yaml:"log"`
	Metrics            Metrics                `yaml:"metrics"`
	Telemetry          Telemetry              `yaml:"telemetry"`
	DefaultEnvironment string                 `yaml:"default_environment"`
	Environments       map[string]Environment `yaml:"environments"`

	Path  string          // as people write it; "" where there is no file
	Place string          // the folder of the file, absolute
	name  string          // of the file in its folder; "" when there is none
	yaml  *yamlpos.Reader // nil when there is no file
}

// Environment is one of a config's environments: a database with a name.
type Environment struct {
	URL       string `yaml:"url"`
	Embedded  bool   `yaml:"embedded"`
	Table     string `yaml:"table"`
	PGVersion int    `yaml:"pg_version"`
	Variables values `yaml:"variables"`
	// Protected environments are checked before anything runs on them, and want
	// to be confirmed.
	Protected bool `yaml:"protected"`
}

// ScriptLimits are what migrations in JavaScript and TypeScript may do: see js.Options.
type ScriptLimits struct {
	Environment variableNames `yaml:"environment"`
	Memory      byteSize      `yaml:"memory"`
	Compute     time.Duration `yaml:"compute"`
}

// variableNames are names of the environment.
type variableNames []string

var variableName = plaintext.Pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReadYAML implements yamlpos.Unmarshaler.
func (v *variableNames) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	r.Each(n, func(n yamlpos.Node) {
		name, ok := r.Resolve(n).(*ast.StringNode)
		if !ok || !variableName().MatchString(name.Value) {
			r.Wrong(n, "write a list of names, as in [REGION, TENANT]", "%q is not the name of a variable", yamlpos.Written(n))
			return
		}
		*v = append(*v, name.Value)
	})
}

// byteSize is a number of bytes that is written with its unit, in powers of
// 1024 as PostgreSQL has them.
type byteSize int64

var (
	sizePattern = plaintext.Pattern(`^([0-9]{1,9})\s*(kB|KB|KiB|MB|MiB|GB|GiB)$`)
	sizeUnits   = map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
)

// ReadYAML implements yamlpos.Unmarshaler.
func (b *byteSize) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	text, _ := r.Scalar(n)
	match := sizePattern().FindStringSubmatch(text)
	if match == nil {
		r.Wrong(n, "write a number with its unit, as in 256MB or 1GB", "invalid size %q", yamlpos.Written(n))
		return
	}
	digits, _ := strconv.ParseInt(match[1], 10, 64) // nine digits at most
	*b = byteSize(digits * sizeUnits[strings.ToUpper(match[2])[0]])
}

// folders are one path or a list of them.
type folders []string

// ReadYAML implements yamlpos.Unmarshaler.
func (f *folders) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	*f = texts(r, n, "write the path of a folder, or a list of paths")
}

// readFile reads the file at explicit, or the one that findFile finds, or none. One
// that was found is believed only if it is the user's own, or that of the user for whom
// sudo works. Every error names file, line and column.
func (o Options) readFile(explicit string) (File, error) {
	folder := o.Folder
	path := explicit
	if path == "" {
		if path = findFile(folder, cmp.Or(o.variable("HOME"), o.variable("USERPROFILE"))); path == "" {
			return File{Place: folder}, nil
		}
		if err := believe(path, files.Shown(folder, path), o.variable("SUDO_UID")); err != nil {
			return File{}, err
		}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	text, err := files.Read(path, files.MostConfig)
	if err != nil {
		return File{}, cannotRead(files.Shown(folder, path), err)
	}
	c, err := Parse(files.Shown(folder, path), text, o.Hazard)
	c.Place, c.name = filepath.Dir(path), filepath.Base(path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		c.Place, c.name = folder, "" // a pipe or /dev/null lies in no project
	}
	return c, err
}

// findFile looks for a whimbrel.yaml in folder and above it, up to the root
// of the repository or the home folder. It gives "" when there is none.
func findFile(folder, home string) string {
	for {
		path := filepath.Join(folder, Name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
		_, err := os.Stat(filepath.Join(folder, ".git"))
		parent := filepath.Dir(folder)
		if err == nil || folder == home || parent == folder {
			return ""
		}
		folder = parent
	}
}

// Parse reads the text of a whimbrel.yaml. path is only for errors; hazard is Options.Hazard.
func Parse(path string, text []byte, hazard func(id string) string) (c File, err error) {
	c.Path = path
	if c.yaml, err = yamlpos.Parse(path, []byte(plaintext.LF(string(text)))); err != nil {
		return c, err
	}
	switch documents := c.yaml.Documents; len(documents) {
	case 0:
		return c, nil
	case 1:
		c.yaml.Decode(documents[0], &c)
		c.checkHazards(hazard)
	default:
		return c, c.wrong(documents[1], "use only one of them", "the file holds more than one document")
	}
	return c, cmp.Or(c.yaml.Err(), c.check())
}

// check refuses values that can be read and make no sense.
func (c File) check() error {
	policies := []whimbrel.OutOfOrder{"", whimbrel.RefuseOutOfOrder, whimbrel.ApplyOutOfOrder, whimbrel.SkipOutOfOrder}
	if !slices.Contains(policies, c.OutOfOrder) {
		return c.wrong(c.at("out_of_order"), "write refuse, apply or skip", "out_of_order: unknown policy %q",
			c.OutOfOrder)
	}
	if err := KnownFormat(c.Format); err != nil {
		return c.wrong(c.at("format"), err.Remedy, "format: %s", err.Message)
	}
	if c.RetryBudget < 0 {
		return c.wrong(c.at("retry_budget"), "write 0s or a positive duration, as in 10m",
			"retry_budget: must not be negative")
	}
	if c.LockWait < 0 {
		return c.wrong(c.at("lock_wait"), "write 0s not to wait, or a positive duration, as in 10m",
			"lock_wait: must not be negative")
	}
	stall := c.MaxStall
	if at := c.at("max_stall"); at != nil && (stall < time.Millisecond || stall > whimbrel.LongestStall) {
		return c.wrong(at, fmt.Sprintf("write at least 1ms, and at most %s", whimbrel.LongestStall),
			"max_stall: a stall budget of %s cannot be kept", stall)
	}
	if _, ok := c.Environments[c.DefaultEnvironment]; !ok && c.DefaultEnvironment != "" {
		return c.wrong(c.at("default_environment"), c.environmentsRemedy(c.DefaultEnvironment),
			"default_environment: unknown environment %q", c.DefaultEnvironment)
	}
	if at := c.at("max_replica_lag"); c.MaxReplicaLag < 0 {
		return c.wrong(at, "write 0s or a positive duration, as in 5s; Config.MaxReplicaLag leaves replicas out of account",
			"max_replica_lag: must not be negative")
	}
	if at := c.at("scripts", "memory"); at != nil && c.Scripts.Memory < 16<<20 {
		return c.wrong(at, "write at least 16MB", "scripts.memory: so little is used by an empty script")
	}
	if at := c.at("scripts", "compute"); at != nil && c.Scripts.Compute <= 0 {
		return c.wrong(at, "write a positive duration, as in 1m", "scripts.compute: a script needs some time")
	}
	if err := errors.Join(c.checkChecks(), c.checkLint(), c.checkMonitor()); err != nil {
		return err
	}
	for _, name := range c.Names() {
		if err := c.checkEnvironment(name, c.Environments[name]); err != nil {
			return err
		}
	}
	return nil
}

func (c File) checkEnvironment(name string, base Environment) error {
	at := func(key string) yamlpos.Node { return c.at("environments", name, key) }
	switch {
	case base.URL != "" && base.Embedded:
		return c.wrong(at("embedded"), "use only one of the two", "environment %q has a url and is embedded", name)
	case base.URL == "" && !base.Embedded:
		return c.wrong(c.at("environments", name), "write url: postgres://…, or embedded: true",
			"environment %q says no database", name)
	case at("pg_version") != nil && !base.Embedded:
		return c.wrong(at("pg_version"), "remove it, or write embedded: true",
			"environment %q: pg_version is for embedded servers", name)
	case at("pg_version") != nil && !KnownMajor(base.PGVersion):
		return c.wrong(at("pg_version"), "write one of "+Majors(), "environment %q: pg_version: no embedded "+
			"PostgreSQL %d", name, base.PGVersion)
	}
	return nil
}

// Names are the environments' names, sorted.
func (c File) Names() []string {
	var names []string
	for name := range c.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// checkChosen refuses the name of an environment that the file does not have, whatever the command would
// have asked the environment for: who slips there means another database or other values than they get.
func (c File) checkChosen(name string) error {
	if _, ok := c.Environments[name]; ok || name == "" {
		return nil
	}
	if c.Path == "" {
		return usage("write one, or give Load its path", "no %s that could say what environment %q is", Name, name)
	}
	return c.wrong(nil, c.environmentsRemedy(name), "unknown environment %q", name)
}

// environmentsRemedy says which environment may be meant by a name that none has.
func (c File) environmentsRemedy(wanted string) string {
	names := c.Names()
	if len(names) == 0 {
		return "add it below environments:"
	}
	if near := plaintext.DidYouMean("", wanted, names); near != "" {
		return near
	}
	return "use one of " + strings.Join(names, ", ")
}

// wrong is an error at a place of the file; nil is the file as a whole.
func (c File) wrong(at yamlpos.Node, remedy, format string, args ...any) error {
	place := yamlpos.Place{Path: c.Path}
	if at != nil {
		place = c.yaml.Place(at)
	}
	return place.Wrong(remedy, format, args...)
}

// at is the value of a key, or nil. A key of a list is a number.
func (c File) at(path ...string) yamlpos.Node {
	if c.yaml == nil {
		return nil
	}
	return c.yaml.Find(path...)
}

// orNothing is a duration of the file. To the engine 0 means the default; where
// the file says 0, nothing is meant, which the engine writes in another way.
func (c File) orNothing(key string, value, nothing time.Duration) time.Duration {
	if value == 0 && c.at(key) != nil {
		return nothing
	}
	return value
}

// OldestMajor and NewestMajor are the major versions of PostgreSQL that the embedded server may have.
const (
	OldestMajor = 14
	NewestMajor = 18
)

// KnownMajor reports whether there is an embedded server of that version.
func KnownMajor(major int) bool { return major >= OldestMajor && major <= NewestMajor }

// Majors lists the versions that there are.
func Majors() string {
	var all []string
	for major := OldestMajor; major <= NewestMajor; major++ {
		all = append(all, strconv.Itoa(major))
	}
	return strings.Join(all, ", ")
}
