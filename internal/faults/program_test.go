package faults_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/faults"
)

func TestAProgramThatIsThereIsFound(t *testing.T) {
	t.Parallel()
	found, err := faults.Program(t.Context(), "go", "golang-go")
	require.NoError(t, err)
	require.FileExists(t, found)
	file, err := faults.File(t.Context(), found[:len(found)-1]+"?", "golang-go")
	require.NoError(t, err)
	require.FileExists(t, file)
}

func TestAProgramThatNobodyHasSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no apt-get either
	_, err := faults.Program(t.Context(), "no-such-program", "no-such-package")
	require.ErrorContains(t, err, "apt-get install no-such-package")
	_, err = faults.File(t.Context(), "/no/such/*.so", "no-such-library")
	require.ErrorContains(t, err, "apt-get install no-such-library")
}
