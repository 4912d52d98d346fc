package yamlpos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
)

type house struct {
	Name   string           `yaml:"name"`
	Number int              `yaml:"number"`
	Wait   time.Duration    `yaml:"wait"`
	Share  float64          `yaml:"share"`
	Open   *bool            `yaml:"open"`
	Rooms  map[string]*room `yaml:"rooms"`
	Guests []string         `yaml:"guests"`
	Doors  []door           `yaml:"doors"`
	hidden string           //nolint:unused // what has no key is left alone
}

type room struct {
	Width int    `yaml:"width"`
	Paint string `yaml:"paint"`
}

type door string

func (d *door) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) { *d = door(strings.ToUpper(r.Text(n))) }

func decode(t *testing.T, text string) (house, error) {
	t.Helper()
	var h house
	r, err := yamlpos.Parse("h.yaml", []byte(text))
	if err == nil && len(r.Documents) > 0 {
		r.Decode(r.Documents[0], &h)
		err = r.Err()
	}
	return h, err
}

func TestEveryKindOfValueIsRead(t *testing.T) {
	t.Parallel()
	h, err := decode(t, `%YAML 1.2
---
name: &name !!str 007
? number
: '16'
wait: 90s
share: 0.5
open: false
rooms:
  hall: &hall
    width: 0x10
    paint: |
      two
      lines
  kitchen:
    <<: [*hall, {paint: never}]
    width: 3
  cellar:
guests: [*name, 1.50, true]
doors: [front]
`)
	require.NoError(t, err)
	require.Equal(t, house{Name: "007", Number: 16, Wait: 90 * time.Second, Share: 0.5, Open: new(false),
		Rooms:  map[string]*room{"hall": {16, "two\nlines\n"}, "kitchen": {3, "two\nlines\n"}, "cellar": nil},
		Guests: []string{"007", "1.50", "true"}, Doors: []door{"FRONT"}}, h)
}

func TestEveryProblemHasItsPlaceAndKeyAndRemedy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"namm: x":                       `h.yaml:1:1: unknown key "namm"|did you mean name?`,
		"width: 1":                      `h.yaml:1:1: unknown key "width"|the keys are doors, guests, name`,
		"rooms:\n  hall:\n    name: 1":  `h.yaml:3:5: rooms.hall: unknown key "name"|the keys are paint, width`,
		"rooms:\n  hall:\n    widht: 1": `h.yaml:3:5: rooms.hall: unknown key "widht"|did you mean width?`,
		"rooms: {100%: {paint: [x]}}":   `h.yaml:1:23: rooms.100%.paint: a text is expected here|`,
		"number: 1.5":                   `h.yaml:1:9: number: invalid number "1.5"|without a fraction`,
		"number: 99999999999999999999":  `h.yaml:1:9: number: number "99999999999999999999" is too large|`,
		"wait: 5":                       `h.yaml:1:7: wait: invalid duration "5"|30s`,
		"share: .nan":                   `h.yaml:1:8: share: invalid number ".nan"|0.8`,
		"open: maybe":                   `h.yaml:1:7: open: "maybe" is neither true nor false|true or false`,
		"guests: x":                     `h.yaml:1:9: guests: a list is expected here|dash`,
		"rooms: [x]":                    `h.yaml:1:8: rooms: a mapping is expected here|`,
		"doors: ['']":                   `h.yaml:1:9: doors: a text is expected here|colon`,
		"name: *nobody":                 `h.yaml:1:7: `,
		"name: x\nname: y":              `h.yaml:2:1: mapping key "name" already defined`,
		"guests: [":                     `h.yaml:1:9: `,
	} {
		_, err := decode(t, text)
		message, remedy, _ := strings.Cut(want, "|")
		require.ErrorContains(t, err, message, text)
		var e *whimbrel.Error
		require.ErrorAs(t, err, &e)
		require.Contains(t, e.Remedy, remedy, text)
	}
	_, err := decode(t, "namm: x\nwait: 5")
	require.ErrorContains(t, err, "namm")
	require.ErrorContains(t, err, "invalid duration", "all problems are told at once")
}

func TestAMappingThatTakesOverItselfHasAnEnd(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"rooms: {a: &a {<<: *a}}", "name: &a *a", "guests: &a [*a]", "rooms: &a {x: *a}"} {
		_, _ = decode(t, text)
	}
}

func TestValuesAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	r, err := yamlpos.Parse("h.yaml", []byte("a:\n  - b: 1\n  - {b: 2}\n"))
	require.NoError(t, err)
	require.Equal(t, yamlpos.Place{Path: "h.yaml", Line: 3, Column: 9}, r.Place(r.Find("a", "1", "b")))
	for _, path := range [][]string{{"b"}, {"a", "2"}, {"a", "-1"}, {"a", "x"}, {"a", "0", "b", "c"}} {
		require.Nil(t, r.Find(path...))
	}
}
