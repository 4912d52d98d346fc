package redact

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shortest is the least length of a value that is looked for everywhere. Shorter ones
// could be a part of anything.
const shortest = 4

// shownByServer is after how many bytes of a value PostgreSQL stops, as in "Failing row
// contains (…)".
const shownByServer = 64

type named struct{ name, value string }

// byLength are the variables with a value, the longest first.
func byLength(variables map[string]string) []named {
	var all []named
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if variables[name] != "" {
			all = append(all, named{name, variables[name]})
		}
	}
	slices.SortStableFunc(all, func(a, b named) int { return cmp.Compare(len(b.value), len(a.value)) })
	return all
}

// rulesOf are the ways in which a value may be in a text, the longest first.
func rulesOf(name, value string) []rule {
	put := strings.ReplaceAll("${"+name+"}", "$", "$$")
	if utf8.RuneCountInString(value) < shortest {
		between := regexp.MustCompile(`(['"(=]\s?|, )` + anyWriting(value) + `(['")]|, )`)
		return []rule{{between, "${1}" + put + "${2}"}}
	}
	rules := []rule{{regexp.MustCompile(anyWriting(value)), put}}
	if len(value) > shownByServer {
		rules = append(rules, rule{regexp.MustCompile(anyWriting(clipped(value))), put})
	}
	// What the server takes for a word of its own: at or near "…".
	apart := func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, part := range strings.FieldsFunc(value, apart) {
		if part != value && !isWord(part) {
			rules = append(rules, rule{wordly(regexp.QuoteMeta(part), part), put})
		}
	}
	return rules
}

// clipped is what the server shows of a long value.
func clipped(value string) string {
	n := shownByServer
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	return value[:n]
}
