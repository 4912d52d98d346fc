package migration

import (
	"cmp"
	"strings"
)

// Version orders migrations: 1 to 19 decimal digits, as they stand in the
// file's name (leading zeros kept). Versions found in a history table may be
// any text. Compare with Compare or Equal, not with ==: "0001" and "1" are the
// same version.
type Version string

// Compare returns -1, 0 or +1 as v comes before, is the same as, or comes
// after other. Versions made of digits compare as the numbers they are, of
// whatever length; all others come after them, in the order of their bytes.
func (v Version) Compare(other Version) int {
	if v.numeric() != other.numeric() {
		if v.numeric() {
			return -1
		}
		return 1
	}
	a, b := v.Canonical(), other.Canonical()
	if v.numeric() && len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return cmp.Compare(a, b)
}

// Equal reports whether v and other are the same version.
func (v Version) Equal(other Version) bool {
	return v.Canonical() == other.Canonical()
}

// Canonical returns v without leading zeros, if it consists of digits. Two
// versions are the same exactly if their canonical forms are ==, which makes
// that form the right key for a map.
func (v Version) Canonical() Version {
	if !v.numeric() {
		return v
	}
	if stripped := strings.TrimLeft(string(v), "0"); stripped != "" {
		return Version(stripped)
	}
	return "0"
}

func (v Version) numeric() bool {
	return v != "" && digits(string(v)) == len(v)
}

// digits counts the decimal digits that text begins with.
func digits(text string) int {
	count := 0
	for count < len(text) && text[count] >= '0' && text[count] <= '9' {
		count++
	}
	return count
}
