package pgsql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLockModesAreReadAsTheServerAndTheDocumentationWriteThem(t *testing.T) {
	t.Parallel()
	for mode, name := range map[LockMode]string{
		AccessShare: "AccessShareLock", RowShare: "RowShareLock", RowExclusive: "RowExclusiveLock",
		ShareUpdateExclusive: "ShareUpdateExclusiveLock", Share: "ShareLock", ShareRowExclusive: "ShareRowExclusiveLock",
		Exclusive: "ExclusiveLock", AccessExclusive: "AccessExclusiveLock", NoLock: "SIReadLock",
	} {
		require.Equal(t, mode, LockModeOf(name), name)
		text, err := mode.MarshalText()
		require.NoError(t, err)
		var read LockMode
		require.NoError(t, read.UnmarshalText(text))
		require.Equal(t, mode, read)
	}
	require.Error(t, new(LockMode).UnmarshalText([]byte("ACCESS")))
}
