package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/lineends"
	"github.com/whimbrel-db/whimbrel/internal/pattern"
)

// configName is the file that describes a project.
const configName = "whimbrel.yaml"

// config is a whimbrel.yaml. Its zero value is that of a project without one.
type config struct {
	Migrations         folders              `yaml:"migrations"`
	Subfolders         bool                 `yaml:"subfolders"`
	Hooks              string               `yaml:"hooks"`
	Format             string               `yaml:"format"`
	Variables          values               `yaml:"variables"`
	Table              string               `yaml:"table"`
	OutOfOrder         whimbrel.OutOfOrder  `yaml:"out_of_order"`
	MaxStall           duration             `yaml:"max_stall"`
	RetryBudget        duration             `yaml:"retry_budget"`
	LockWait           duration             `yaml:"lock_wait"`
	MaxReplicaLag      duration             `yaml:"max_replica_lag"`
	Scripts            scriptLimits         `yaml:"scripts"`
	Checks             checkSettings        `yaml:"checks"`
	Lint               lintSettings         `yaml:"lint"`
	Sandbox            sandboxSettings      `yaml:"sandbox"`
	Alerts             alertSettings        `yaml:"alerts"`
	Log                logSettings          `yaml:"log"`
	Metrics            metricSettings       `yaml:"metrics"`
	Telemetry          telemetrySettings    `yaml:"telemetry"`
	DefaultEnvironment string               `yaml:"default_environment"`
	Environments       map[string]namedBase `yaml:"environments"`

	path  string // as shown in errors; "" when there is no file
	place string // the folder of the file, absolute
	name  string // of the file in its folder; "" when there is none
	body  ast.Node
}

// namedBase is one of a config's environments: a database with a name.
type namedBase struct {
	URL       string `yaml:"url"`
	Embedded  bool   `yaml:"embedded"`
	Table     string `yaml:"table"`
	PGVersion int    `yaml:"pg_version"`
	Variables values `yaml:"variables"`
	// Protected environments are checked before anything runs on them, and want
	// to be confirmed.
	Protected bool `yaml:"protected"`
}

// scriptLimits are what migrations in JavaScript and TypeScript may do.
type scriptLimits struct {
	Environment variableNames `yaml:"environment"`
	Memory      byteSize      `yaml:"memory"`
	Compute     duration      `yaml:"compute"`
}

// variableNames are names of the environment.
type variableNames []string

var variableName = pattern.Of(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (v *variableNames) UnmarshalYAML(node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return &yaml.SyntaxError{Message: "environment: write a list of names, as in [REGION, TENANT]",
			Token: node.GetToken()}
	}
	*v = nil
	for _, n := range list.Values {
		name, ok := n.(*ast.StringNode)
		if !ok || !variableName().MatchString(name.Value) {
			return &yaml.SyntaxError{Message: fmt.Sprintf("environment: %q is not the name of a variable", n.GetToken().Value),
				Token: n.GetToken()}
		}
		*v = append(*v, name.Value)
	}
	return nil
}

// byteSize is a number of bytes that is written with its unit, in powers of
// 1024 as PostgreSQL has them.
type byteSize int64

var (
	sizePattern = pattern.Of(`^([0-9]{1,9})\s*(kB|KB|KiB|MB|MiB|GB|GiB)$`)
	sizeUnits   = map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
)

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (b *byteSize) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	match := sizePattern().FindStringSubmatch(text)
	if match == nil {
		return &yaml.SyntaxError{
			Message: fmt.Sprintf("invalid size %q: write a number with its unit, as in 256MB or 1GB", text),
			Token:   node.GetToken(),
		}
	}
	n, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil {
		return err
	}
	*b = byteSize(n * sizeUnits[strings.ToUpper(match[2])[0]])
	return nil
}

// folders are one path or a list of them.
type folders []string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (f *folders) UnmarshalYAML(node ast.Node) error {
	nodes := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	*f = nil
	for _, n := range nodes {
		folder, ok := n.(*ast.StringNode)
		if !ok || folder.Value == "" {
			return &yaml.SyntaxError{Message: "migrations: write the path of a folder, or a list of paths", Token: n.GetToken()}
		}
		*f = append(*f, folder.Value)
	}
	return nil
}

// duration is a time.Duration that is written with its unit.
type duration time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (d *duration) UnmarshalYAML(node ast.Node) error {
	text := node.GetToken().Value
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return &yaml.SyntaxError{
			Message: fmt.Sprintf("invalid duration %q: write a number with its unit, as in 100ms, 30s or 10m", text),
			Token:   node.GetToken(),
		}
	}
	*d = duration(parsed)
	return nil
}

// loadConfig reads the file at explicit, or the one that findConfig finds, or none. One
// that was found is believed only if it is the user's own, or that of the user for whom
// sudo works. Every error names file, line and column.
func loadConfig(explicit, folder, home, sudo string) (config, error) {
	path := explicit
	if path == "" {
		if path = findConfig(folder, home); path == "" {
			return config{place: folder}, nil
		}
		if err := believe(path, shownPath(folder, path), sudo); err != nil {
			return config{}, err
		}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	text, err := readFile(path, mostConfig)
	if err != nil {
		return config{}, cannotRead(shownPath(folder, path), err)
	}
	c, err := parseConfig(shownPath(folder, path), text)
	c.place, c.name = filepath.Dir(path), filepath.Base(path)
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		c.place, c.name = folder, "" // a pipe or /dev/null lies in no project
	}
	return c, err
}

// findConfig looks for a whimbrel.yaml in folder and above it, up to the root
// of the repository or the home folder. It gives "" when there is none.
func findConfig(folder, home string) string {
	for {
		path := filepath.Join(folder, configName)
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

// parseConfig reads a whimbrel.yaml. path is only for errors.
func parseConfig(path string, text []byte) (config, error) {
	c := config{path: path}
	text = []byte(lineends.LF(string(text)))
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return c, c.unreadable(err)
	}
	if len(file.Docs) > 1 {
		return c, c.wrong(file.Docs[1].GetToken(), "use only one of them", "the file holds more than one document")
	}
	if len(file.Docs) == 1 {
		c.body = file.Docs[0].Body
	}
	if c.body == nil || c.body.Type() == ast.CommentType {
		c.body = nil
		return c, nil
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, c.unreadable(err)
	}
	return c, cmp.Or(c.fractions(reflect.ValueOf(c)), c.check())
}

// fractions refuses a number with a fraction where a whole one belongs: the library cuts
// it off.
func (c config) fractions(of reflect.Value, path ...string) error {
	switch {
	case of.Kind() == reflect.Pointer && !of.IsNil():
		return c.fractions(of.Elem(), path...)
	case of.Kind() == reflect.Map:
		for _, key := range of.MapKeys() {
			if err := c.fractions(of.MapIndex(key), append(slices.Clone(path), key.String())...); err != nil {
				return err
			}
		}
	case of.Kind() == reflect.Struct:
		for i := range of.NumField() {
			if key := of.Type().Field(i).Tag.Get("yaml"); key != "" {
				if err := c.fractions(of.Field(i), append(slices.Clone(path), key)...); err != nil {
					return err
				}
			}
		}
	case of.CanInt():
		if at := c.token(path...); at != nil && at.Type == token.FloatType {
			return c.wrong(at, "write a number without a fraction", "%s: invalid whole number %s", strings.Join(path, "."),
				at.Value)
		}
	}
	return nil
}

// check refuses values that can be read and make no sense.
func (c config) check() error {
	policies := []whimbrel.OutOfOrder{"", whimbrel.RefuseOutOfOrder, whimbrel.ApplyOutOfOrder, whimbrel.SkipOutOfOrder}
	if !slices.Contains(policies, c.OutOfOrder) {
		return c.wrong(c.token("out_of_order"), "write refuse, apply or skip", "out_of_order: unknown policy %q",
			c.OutOfOrder)
	}
	if err := knownFormat(c.Format); err != nil {
		return c.wrong(c.token("format"), err.Remedy, "format: %s", err.Message)
	}
	if c.RetryBudget < 0 {
		return c.wrong(c.token("retry_budget"), "write 0s or a positive duration, as in 10m",
			"retry_budget: must not be negative")
	}
	if c.LockWait < 0 {
		return c.wrong(c.token("lock_wait"), "write 0s not to wait, or a positive duration, as in 10m",
			"lock_wait: must not be negative")
	}
	stall := time.Duration(c.MaxStall)
	if at := c.token("max_stall"); at != nil && (stall < time.Millisecond || stall > whimbrel.LongestStall) {
		return c.wrong(at, fmt.Sprintf("write at least 1ms, and at most %s", whimbrel.LongestStall),
			"max_stall: a stall budget of %s cannot be kept", stall)
	}
	if _, ok := c.Environments[c.DefaultEnvironment]; !ok && c.DefaultEnvironment != "" {
		return c.wrong(c.token("default_environment"), c.environmentsRemedy(c.DefaultEnvironment),
			"default_environment: unknown environment %q", c.DefaultEnvironment)
	}
	if at := c.token("max_replica_lag"); c.MaxReplicaLag < 0 {
		return c.wrong(at, "write 0s or a positive duration, as in 5s; --ignore-replicas leaves replicas out of account",
			"max_replica_lag: must not be negative")
	}
	if at := c.token("scripts", "memory"); at != nil && c.Scripts.Memory < 16<<20 {
		return c.wrong(at, "write at least 16MB", "scripts.memory: so little is used by an empty script")
	}
	if at := c.token("scripts", "compute"); at != nil && c.Scripts.Compute <= 0 {
		return c.wrong(at, "write a positive duration, as in 1m", "scripts.compute: a script needs some time")
	}
	if err := errors.Join(c.checkChecks(), c.checkLint(), c.checkMonitor()); err != nil {
		return err
	}
	for _, name := range c.names() {
		if err := c.checkEnvironment(name, c.Environments[name]); err != nil {
			return err
		}
	}
	return nil
}

func (c config) checkEnvironment(name string, base namedBase) error {
	at := func(key string) *token.Token { return c.token("environments", name, key) }
	switch {
	case base.URL != "" && base.Embedded:
		return c.wrong(at("embedded"), "use only one of the two", "environment %q has a url and is embedded", name)
	case base.URL == "" && !base.Embedded:
		return c.wrong(c.token("environments", name), "write url: postgres://…, or embedded: true",
			"environment %q says no database", name)
	case at("pg_version") != nil && !base.Embedded:
		return c.wrong(at("pg_version"), "remove it, or write embedded: true",
			"environment %q: pg_version is for embedded servers", name)
	case at("pg_version") != nil && !knownMajor(base.PGVersion):
		return c.wrong(at("pg_version"), "write one of "+majorsText(), "environment %q: pg_version: no embedded "+
			"PostgreSQL %d", name, base.PGVersion)
	}
	return nil
}

// names are the environments' names, sorted.
func (c config) names() []string {
	var names []string
	for name := range c.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c config) environmentsRemedy(wanted string) string {
	names := c.names()
	if len(names) == 0 {
		return "add it below environments:"
	}
	if near := didYouMean("", wanted, names); near != "" {
		return near
	}
	return "use one of " + strings.Join(names, ", ")
}

// unreadable turns an error of the YAML library into ours.
func (c config) unreadable(err error) error {
	var positioned yaml.Error
	if !errors.As(err, &positioned) {
		return c.wrong(nil, "", "%v", err)
	}
	message, remedy := positioned.GetMessage(), ""
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) && positioned.GetToken() != nil {
		key := positioned.GetToken().Value
		message, remedy = fmt.Sprintf("unknown key %q", key), didYouMean("", key, keys())
		if remedy == "" {
			remedy = "the keys are " + strings.Join(keys(), ", ")
		}
	}
	var number *yaml.TypeError
	var huge *yaml.OverflowError
	if errors.As(err, &number) || errors.As(err, &huge) {
		message = fmt.Sprintf("%q is not what belongs here, or too large", positioned.GetToken().Value)
	}
	if key := keyOf(positioned.GetToken()); unknown == nil && key != "" && !strings.Contains(message, key) {
		message = key + ": " + message
	}
	return c.wrong(positioned.GetToken(), remedy, "%s", message)
}

// keyOf is the key before a value, "" where there is none.
func keyOf(value *token.Token) string {
	for t := value; t != nil; t = t.Prev {
		if t.Type == token.MappingValueType && t.Prev != nil {
			return t.Prev.Value
		}
	}
	return ""
}

// wrong is an error at a place of the file.
func (c config) wrong(at *token.Token, remedy, format string, args ...any) error {
	e := &whimbrel.Error{Code: whimbrel.CodeConfiguration, Path: c.path, Message: fmt.Sprintf(format, args...),
		Remedy: remedy}
	if at != nil && at.Position != nil {
		e.Line, e.Column = at.Position.Line, at.Position.Column
	}
	return e
}

// token is where the value of a key stands, or nil. A key of a list is a number.
func (c config) token(path ...string) *token.Token {
	node := c.body
	for _, key := range path {
		if list, ok := node.(*ast.SequenceNode); ok {
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(list.Values) {
				return nil
			}
			node = list.Values[i]
			continue
		}
		mapping, ok := node.(*ast.MappingNode)
		if !ok {
			return nil
		}
		i := slices.IndexFunc(mapping.Values, func(v *ast.MappingValueNode) bool { return v.Key.GetToken().Value == key })
		if i < 0 {
			return nil
		}
		node = mapping.Values[i].Value
	}
	if node == nil {
		return nil
	}
	if mapping, ok := node.(*ast.MappingNode); ok && len(mapping.Values) > 0 {
		return mapping.Values[0].Key.GetToken()
	}
	return node.GetToken()
}

// orNothing is a duration of the file. To the engine 0 means the default; where
// the file says 0, nothing is meant, which the engine writes in another way.
func (c config) orNothing(key string, value duration, nothing time.Duration) time.Duration {
	if value == 0 && c.token(key) != nil {
		return nothing
	}
	return time.Duration(value)
}

// keys are all the keys that a whimbrel.yaml may have.
func keys() []string {
	var names []string
	for _, of := range append([]reflect.Type{reflect.TypeFor[config](), reflect.TypeFor[namedBase](),
		reflect.TypeFor[scriptLimits](),
		reflect.TypeFor[checkSettings](), reflect.TypeFor[checkSource](), reflect.TypeFor[lintSettings](),
		reflect.TypeFor[sandboxSettings]()},
		monitorTypes()...) {
		for i := range of.NumField() {
			if name := of.Field(i).Tag.Get("yaml"); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// The major versions of PostgreSQL that the embedded server may have.
const oldestMajor, newestMajor = 14, 18

func knownMajor(major int) bool { return major >= oldestMajor && major <= newestMajor }

func majorsText() string {
	var all []string
	for major := oldestMajor; major <= newestMajor; major++ {
		all = append(all, strconv.Itoa(major))
	}
	return strings.Join(all, ", ")
}

// shownPath is path as its reader would write it: relative to his folder where
// that is shorter.
func shownPath(folder, path string) string {
	relative, err := filepath.Rel(folder, path)
	if err != nil || strings.HasPrefix(relative, filepath.Join("..", "..", "..")) {
		return path
	}
	return relative
}

// reasonOf is a file system's error without the operation and the path.
func reasonOf(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
