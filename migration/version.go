package migration

import (
	"cmp"
	"strings"
)

// Version orders migrations: 1 to 19 decimal digits, as they are in the
// file's name (leading zeros kept). Versions found in a history table may be
// any text; those of other tools have parts, as in "1.2.10". Compare with Compare
// or Equal, not with ==: "0001" and "1" are the same version.
type Version string

// Compare returns -1, 0 or +1 as v comes before, is the same as, or comes
// after other. Versions made of digits compare as the numbers they are,
// of whatever length, and with dots between them part by part. A text that begins with
// a number comes after that number and before the next one, as sql-migrate has it; all
// others come last. Texts are in the order of their bytes.
func (v Version) Compare(other Version) int {
	if !v.numeric() || !other.numeric() {
		return v.compareText(other)
	}
	a, b := v.Canonical(), other.Canonical()
	for a != "" || b != "" {
		var here, there string
		here, a = a.cut()
		there, b = b.cut()
		if order := compareNumbers(here, there); order != 0 {
			return order
		}
	}
	return 0
}

// compareText compares versions of which one at least is not numeric.
func (v Version) compareText(other Version) int {
	a, b := string(v[:digits(string(v))]), string(other[:digits(string(other))])
	switch {
	case (a == "") != (b == ""):
		return cmp.Compare(len(b), len(a))
	case a == "":
		return cmp.Compare(v, other)
	}
	order := compareNumbers(strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0"))
	switch {
	case order != 0:
		return order
	case v.numeric():
		return -1
	case other.numeric():
		return 1
	}
	return cmp.Compare(v, other)
}

// compareNumbers compares numbers without leading zeros.
func compareNumbers(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// cut takes the first part off a canonical version. What has no more parts has
// zeros, which are nothing here.
func (v Version) cut() (part string, rest Version) {
	part, after, _ := strings.Cut(string(v), ".")
	return strings.TrimLeft(part, "0"), Version(after)
}

// Equal reports whether v and other are the same version.
func (v Version) Equal(other Version) bool {
	return v.Canonical() == other.Canonical()
}

// Canonical returns v without leading zeros in its parts, and without parts at
// its end that are zero, if it consists of digits. Two versions are the same
// exactly if their canonical forms are ==, which makes that form the right key
// for a map.
func (v Version) Canonical() Version {
	switch {
	case !v.numeric():
		return v
	case strings.Contains(string(v), "."):
		return v.canonicalParts()
	}
	if stripped := strings.TrimLeft(string(v), "0"); stripped != "" {
		return Version(stripped)
	}
	return "0"
}

func (v Version) canonicalParts() Version {
	parts := strings.Split(string(v), ".")
	for i, part := range parts {
		parts[i] = cmp.Or(strings.TrimLeft(part, "0"), "0")
	}
	for len(parts) > 1 && parts[len(parts)-1] == "0" {
		parts = parts[:len(parts)-1]
	}
	return Version(strings.Join(parts, "."))
}

// numeric reports whether v is made of digits, or of several such parts.
func (v Version) numeric() bool { return v != "" && numericPrefix(string(v)) == len(v) }

// numericPrefix is the length of the version that a file's name begins with:
// digits, or several such parts.
func numericPrefix(text string) int {
	count := digits(text)
	for count > 0 && count < len(text) && text[count] == '.' {
		part := digits(text[count+1:])
		if part == 0 {
			break
		}
		count += 1 + part
	}
	return count
}

// digits counts the decimal digits that text begins with.
func digits(text string) int {
	count := 0
	for count < len(text) && text[count] >= '0' && text[count] <= '9' {
		count++
	}
	return count
}
