package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/docs"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

// keyRow is a row of docs/configuration.md: a key, what may stand there, the
// default, and what it means. The page is where descriptions are written; the
// schema takes them from there.
type keyRow struct{ path, value, standard, meaning string }

var (
	keyTableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|([^|]*)\\| ([^|]+) \\|$")
	quotedWord  = regexp.MustCompile("`([^`]+)`")
	linkText    = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
)

func keyRows(t *testing.T) map[string]keyRow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(documentation, "configuration.md"))
	require.NoError(t, err)
	rows := map[string]keyRow{}
	for _, match := range keyTableRow.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, rows, match[1])
		rows[match[1]] = keyRow{
			path: match[1], value: match[2], standard: strings.TrimSpace(match[3]),
			meaning: linkText.ReplaceAllString(match[4], "$1"),
		}
	}
	return rows
}

// TestConfigurationIsDocumented keeps the page complete, and the schema for
// editors what the page and the program say.
func TestConfigurationIsDocumented(t *testing.T) {
	t.Parallel()
	rows := keyRows(t)
	builder := schemaBuilder{rows: maps.Clone(rows)}
	schema := builder.object("", reflect.TypeFor[project.File]())
	require.Empty(t, builder.missing, "docs/configuration.md has no row for them")
	require.Empty(t, builder.wrong, "docs/configuration.md says something else of their values")
	require.Empty(t, slices.Collect(maps.Keys(builder.rows)), "there are no such keys any more")
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = project.Name
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(schema))
	generated(t, "whimbrel.schema.json", text.String())
}

// schemaBuilder makes a JSON schema of the types that a configuration is read
// into, and takes from rows what it has used.
type schemaBuilder struct {
	rows           map[string]keyRow
	missing, wrong []string
}

func (b *schemaBuilder) object(path string, of reflect.Type) map[string]any {
	properties := map[string]any{}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		properties[name] = b.property(path+name, of.Field(i).Type)
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// property is the schema of a key with the words of its row.
func (b *schemaBuilder) property(path string, of reflect.Type) map[string]any {
	row, found := b.rows[path]
	delete(b.rows, path)
	if !found {
		b.missing = append(b.missing, path)
	}
	schema, label := b.value(path, of)
	if found && !strings.HasPrefix(row.value, label) {
		b.wrong = append(b.wrong, path+": begin with "+label)
	}
	if words := quotedWord.FindAllStringSubmatch(row.value, -1); of.Kind() == reflect.String && len(words) > 0 {
		var allowed []any
		for _, word := range words {
			allowed = append(allowed, word[1])
		}
		schema["enum"] = allowed
	}
	schema["description"] = strings.ReplaceAll(row.meaning, "`", "")
	return schema
}

// value is the schema of what may be at a key, and what the page calls it.
func (b *schemaBuilder) value(path string, of reflect.Type) (schema map[string]any, label string) {
	if own, label := ownReader(of); own != nil {
		return own, label
	}
	if of == reflect.TypeFor[time.Duration]() {
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}, "duration"
	}
	switch of.Kind() {
	case reflect.Pointer:
		return b.value(path, of.Elem())
	case reflect.Struct:
		return b.object(path+".", of), "mapping"
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": b.object(path+".NAME.", of.Elem())}, "mapping"
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Struct && reflect.PointerTo(of.Elem()).Implements(nodeReader) == false {
			return map[string]any{"type": "array", "items": b.object(path+"[].", of.Elem())}, "list"
		}
		items, _ := b.value(path, of.Elem())
		return map[string]any{"type": "array", "items": items}, "list"
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, "true or false"
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}, "number"
	case reflect.Float64:
		return map[string]any{"type": "number"}, "number"
	}
	return map[string]any{"type": "string"}, ""
}

var nodeReader = reflect.TypeFor[yamlpos.Unmarshaler]()

// ownReader is the schema of the types that read their values by themselves. One
// that is new has to be put here: reflection cannot tell what it accepts.
func ownReader(of reflect.Type) (schema map[string]any, label string) {
	if of.Kind() == reflect.Pointer || !reflect.PointerTo(of).Implements(nodeReader) {
		return nil, ""
	}
	const name = `^[A-Za-z_][A-Za-z0-9_]*$`
	text := map[string]any{"type": "string"}
	list := func(of map[string]any) map[string]any { return map[string]any{"type": "array", "items": of} }
	either := func(of map[string]any) map[string]any {
		return map[string]any{"anyOf": []any{of, list(of)}}
	}
	object := func(names, values map[string]any) map[string]any {
		return map[string]any{"type": "object", "propertyNames": names, "additionalProperties": values}
	}
	switch of.Name() {
	case "folders":
		return either(text), "path, or a list"
	case "prepareFiles":
		return either(text), "path, or a list"
	case "objectNames":
		return either(text), "name, or a list"
	case "byteSize":
		return map[string]any{"type": "string", "pattern": `^([0-9]{1,9})\s*(kB|KB|KiB|MB|MiB|GB|GiB)$`}, "size"
	case "variableNames":
		return list(map[string]any{"type": "string", "pattern": name}), "list of names"
	case "values":
		return object(map[string]any{"pattern": name}, map[string]any{"type": []any{"string", "number",
			"boolean"}}), "names and values"
	case "severities":
		return object(map[string]any{"enum": hazardIDs()}, map[string]any{"enum": []any{"off", "warn", "error"}}),
			"hazards and severities"
	case "checkNames":
		return either(map[string]any{"enum": append(preflight.Names(), preflight.Everything)}), "check, or a list"
	case "weeklyWindow":
		return text, "window"
	}
	panic("tell ownReader what a " + of.Name() + " accepts")
}

// TestInitShowsEveryKeyWithItsDefault removes the # of each key that init's file has
// commented out. (What follows a # and a space is prose.)
func TestInitShowsEveryKeyWithItsDefault(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile(`(?m)^#( {2,}[^ ]|[^ \n])`).ReplaceAllString(configTemplate([]string{"db"}), "$1")
	_, err := parseConfig([]byte(shown))
	require.NoError(t, err, shown)
	require.NoError(t, check(checker(t), shown))
	var all, document map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(shown), &all))
	values, set := map[string][]string{}, map[string][]string{}
	collectKeys(values, "", all)
	require.NoError(t, yaml.Unmarshal([]byte(configTemplate([]string{"db"})), &document))
	collectKeys(set, "", document)
	for path, row := range keyRows(t) {
		if row.meaning == "Has no meaning here." || path == "checks.free_disk.query" { // a command is shown
			continue
		}
		require.NotEmpty(t, values[path], "project.yaml does not show "+path)
		if set[path] != nil || strings.HasPrefix(row.value, "list") {
			continue
		}
		standard := strings.Trim(row.standard, "`")
		if standard == "false" || standard == "true" || standard != row.standard && !strings.Contains(standard, "`") {
			require.Contains(t, values[path], standard, path)
		}
	}
}

// collectKeys gathers the values of each key, by its path as docs/configuration.md has it.
func collectKeys(values map[string][]string, path string, of any) {
	switch of := of.(type) {
	case map[string]any:
		for key, value := range of {
			if path == "environments" {
				key = "NAME"
			}
			inner := strings.TrimPrefix(path+"."+key, ".")
			values[inner] = append(values[inner], fmt.Sprint(value))
			collectKeys(values, inner, value)
		}
	case []any:
		for _, item := range of {
			collectKeys(values, path+"[]", item)
		}
	}
}

// checker compiles the schema that the program prints.
func checker(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(docs.Schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource(project.Name, document))
	schema, err := compiler.Compile(project.Name)
	require.NoError(t, err)
	return schema
}

func check(schema *jsonschema.Schema, text string) error {
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return err
	}
	return schema.Validate(document)
}

// TestTheSchemaAgreesWithTheReader has both judge what is right and what is wrong.
func TestTheSchemaAgreesWithTheReader(t *testing.T) {
	t.Parallel()
	schema := checker(t)
	right := []string{configTemplate([]string{"db"})}
	for _, page := range readPages(t) {
		for _, block := range page.Blocks {
			if block.Language == "yaml" && (block.File == project.Name || slices.Contains(block.Words, "configuration")) {
				right = append(right, block.Text)
			}
		}
	}
	require.Greater(t, len(right), 2)
	examples, err := filepath.Glob("../../examples/*/" + project.Name)
	require.NoError(t, err)
	for _, path := range examples {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		right = append(right, string(text))
	}
	for _, text := range right {
		_, err := parseConfig([]byte(text))
		require.NoError(t, err, text)
		require.NoError(t, check(schema, text), text)
	}
	for _, text := range []string{
		"tabel: x\n", "max_stall: 30\n", "out_of_order: no\n", "migrations: {a: b}\n", "scripts: {memory: 256}\n",
		"environments: {a: {ulr: x}}\n", "checks: {skip: [nothing]}\n", "lint: {hazards: {none: warn}}\n",
		"checks: {backups: [{kind: tape}]}\n",
	} {
		_, err := parseConfig([]byte(text))
		require.Error(t, err, text)
		require.Error(t, check(schema, text), text)
	}
}
