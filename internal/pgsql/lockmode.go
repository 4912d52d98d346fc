package pgsql

import (
	"fmt"
	"slices"
	"strings"
)

// LockMode is how a table is locked; a higher one is stronger.
//
// See "Table-Level Locks" in PostgreSQL's documentation.
type LockMode int

// The modes.
const (
	NoLock LockMode = iota
	AccessShare
	RowShare
	RowExclusive
	ShareUpdateExclusive
	Share
	ShareRowExclusive
	Exclusive
	AccessExclusive
)

var modeNames = [...]string{
	"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE",
	"EXCLUSIVE", "ACCESS EXCLUSIVE",
}

// String gives the mode as PostgreSQL's documentation writes it.
func (m LockMode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("mode %d", int(m))
	}
	return modeNames[m]
}

// MarshalText implements encoding.TextMarshaler.
func (m LockMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *LockMode) UnmarshalText(text []byte) error {
	i := slices.Index(modeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("invalid lock mode %q", text)
	}
	*m = LockMode(i)
	return nil
}

// Stops says who has to wait for a lock of the mode.
func (m LockMode) Stops() string {
	switch {
	case m == AccessExclusive:
		return "reads and writes"
	case m >= Share:
		return "writes"
	case m == ShareUpdateExclusive:
		return "other schema changes and vacuum"
	}
	return "nobody at ordinary work"
}

// LockModeOf reads a mode as the documentation writes it, or as pg_locks does:
// AccessExclusiveLock. NoLock is any other.
func LockModeOf(name string) LockMode {
	return LockMode(max(0, slices.IndexFunc(modeNames[:], func(shown string) bool {
		return shown == name || strings.EqualFold(strings.ReplaceAll(shown, " ", "")+"Lock", name)
	})))
}
