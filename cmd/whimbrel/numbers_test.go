package main

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/project"
)

// nonsense is what no number or duration may end in: a number that went around, or that
// the server was left to refuse.
const nonsense = `(?i)panic|overflow|out of range|internal|SQLSTATE`

// usefulArguments are the arguments of commands that need one.
var usefulArguments = map[string][]string{"to": {"1"}, "baseline": {"1"}, "history show": {"1"}, "create": {"new"},
	"export": {"out"}}

// No flag takes a number or a duration that cannot be meant, whichever command has it.
func TestNumbersThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	tried := 0
	everyNumber(t, func(command string, f *pflag.Flag) {
		for _, given := range map[string][]string{
			"int":      {"0", "-1", "-9223372036854775808", "99999999999999999999", "1.5", "many"},
			"duration": {"-1s", "-2562047h", "9999999h", "5", "soon"},
		}[f.Value.Type()] {
			var out, errs bytes.Buffer
			env := environment{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, folder: t.TempDir(),
				lookup: variables{}.lookup}
			args := slices.Concat(strings.Fields(command), []string{"--" + f.Name, given}, usefulArguments[command])
			status := run(t.Context(), args, env)
			require.Equal(t, exitWrongUse, status, "%q: %s%s", args, out.String(), errs.String())
			require.Contains(t, errs.String(), "--"+f.Name, "%q", args)
			tried++
		}
	})
	require.Greater(t, tried, 150)
}

// everyNumber calls use for every flag of every command that is a number or a duration.
func everyNumber(t *testing.T, use func(command string, f *pflag.Flag)) {
	root := newRoot(newApp(environment{}, nil))
	for _, name := range commandsOf(root) {
		command, _, err := root.Find(strings.Fields(name))
		require.NoError(t, err)
		command.InheritedFlags() // which adds those of the commands above
		command.Flags().VisitAll(func(f *pflag.Flag) {
			require.Contains(t, []string{"bool", "string", "stringArray", "stringSlice", "int", "duration"}, f.Value.Type(),
				"--%s has a type that this test does not know", f.Name)
			if f.Value.Type() == "int" || f.Value.Type() == "duration" {
				use(name, f)
			}
		})
	}
}

// The largest number that can be written is refused, naming the flag, or does what a
// large one is to do.
func TestHugeNumbersWorkOrAreRefused(t *testing.T) {
	t.Parallel()
	s, tried := newSession(t, nil), map[string]int{}
	slow := []string{"lint", "test", "squash", "dev", "dev start", "dev reset", "dev stop", "dev psql", "dev url",
		"dev status"}
	everyNumber(t, func(command string, f *pflag.Flag) {
		if slices.Contains(slow, command) && f.Name != "pg-version" && f.Name != "at-scale" {
			return
		}
		if tried[f.Name]++; tried[f.Name] > 2 { // commands share what they do with their flags
			return
		}
		given := map[string]string{"int": fmt.Sprint(math.MaxInt),
			"duration": time.Duration(math.MaxInt64).String()}[f.Value.Type()]
		args := slices.Concat(strings.Fields(command), []string{"--" + f.Name, given}, usefulArguments[command])
		if command == "deploy" {
			args = append(args, "--skip-check", "all")
		}
		s.cleared()
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		status := s.run(args...)
		require.NotRegexp(t, nonsense, s.err.String()+s.out.String(), "%q", args)
		if status == exitWrongUse && command != "adopt" { // which finds no table of another tool
			require.Contains(t, s.err.String(), "--"+f.Name, "%q", args)
		}
	})
	for _, args := range [][]string{{"down"}, {"redo"}, {"down", "--dry-run"}} {
		s.cleared()
		s.ran("up")
		require.Equal(t, exitDone, s.run(append(args, fmt.Sprint(math.MaxInt))...), s.err.String())
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		require.Equal(t, exitWrongUse, s.run(append(args, "99999999999999999999")...))
		require.Contains(t, s.err.String(), `invalid number of migrations "99999999999999999999"`)
	}
}

// numbers are the keys of whimbrel.yaml that are numbers, durations or sizes.
func numbers(of reflect.Type, above string) (keys map[string]string) {
	keys = map[string]string{}
	kinds := map[reflect.Type]string{reflect.TypeFor[time.Duration](): "duration",
		reflect.TypeOf(project.ScriptLimits{}.Memory): "size"}
	for i := range of.NumField() {
		f := of.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case kinds[kind] != "":
			keys[above+key] = kinds[kind]
		case kind.Kind() == reflect.Map && kind.Elem().Kind() == reflect.Struct:
			for k, v := range numbers(kind.Elem(), above+key+".one.") {
				keys[k] = v
			}
		case kind.Kind() == reflect.Struct:
			for k, v := range numbers(kind, above+key+".") {
				keys[k] = v
			}
		case kind.Kind() == reflect.Float64:
			keys[above+key] = "fraction"
		case kind.Kind() >= reflect.Int && kind.Kind() <= reflect.Uint64:
			keys[above+key] = "number"
		}
	}
	return keys
}

// inConfig is a whimbrel.yaml with a value at a key.
func inConfig(key, value string) string {
	var b strings.Builder
	parts := strings.Split(key, ".")
	for depth, part := range parts {
		if depth > 0 {
			b.WriteString("\n" + strings.Repeat("  ", depth))
		}
		b.WriteString(part + ":")
	}
	b.WriteString(" " + value + "\n")
	if strings.HasPrefix(key, "environments.") {
		b.WriteString("    embedded: true\n")
	}
	return b.String()
}

func TestNumbersInTheConfigurationAreRefusedAtTheirPlace(t *testing.T) {
	t.Parallel()
	keys := numbers(reflect.TypeFor[project.File](), "")
	require.Greater(t, len(keys), 20)
	// What 0 says where it is allowed is in docs/configuration.md.
	for key, kind := range keys {
		for _, value := range map[string][]string{
			"duration": {"-1s", "-2562047h", "9999999h", "5", "soon", "[1s]", "{a: 1s}"},
			"size":     {"-1MB", "0", "99999999999999999999GB", "5", "much", "[1MB]"},
			"number":   {"-1", "-9223372036854775808", "99999999999999999999", "1.5", "many", "[1]", "{a: 1}"},
			"fraction": {"-1", ".nan", ".inf", "-.inf", "many", "[1]"},
		}[kind] {
			text := inConfig(key, value)
			var own *whimbrel.Error
			var err error
			require.NotPanics(t, func() { _, err = parseConfig([]byte(text)) }, text)
			require.ErrorAs(t, err, &own, text)
			require.Equal(t, whimbrel.CodeConfiguration, own.Code, text)
			require.Equal(t, strings.Count(key, ".")+1, own.Line, "%s: %v", text, own)
			require.Positive(t, own.Column, text)
			name := key[strings.LastIndex(key, ".")+1:]
			require.Contains(t, own.Error(), name, text)
			require.NotRegexp(t, nonsense, own.Error(), text)
		}
	}
}

func TestHugeNumbersInTheConfigurationWorkOrAreRefused(t *testing.T) {
	t.Parallel()
	s := newSession(t, sound)
	for key, kind := range numbers(reflect.TypeFor[project.File](), "") {
		value := map[string]string{
			"duration": time.Duration(math.MaxInt64).String(), "size": "999999999GB", "number": fmt.Sprint(math.MaxInt),
			"fraction": "1e300",
		}[kind]
		s.cleared()
		s.configure(inConfig(key, value))
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		if status := s.run("deploy"); status == exitWrongUse {
			require.Regexp(t, `whimbrel.yaml:\d+:\d+: .*`+key[strings.LastIndex(key, ".")+1:], s.err.String())
		}
		require.NotRegexp(t, nonsense, s.out.String()+s.err.String(), key)
	}
}
