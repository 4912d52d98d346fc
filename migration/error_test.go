package migration

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorsSayWhereWithoutWhatIsUnknown(t *testing.T) {
	t.Parallel()
	place := Position{Offset: 9, Line: 2, Column: 3}
	for want, err := range map[string]*Error{
		"a.sql:2:3: no": {Path: "a.sql", Position: place, Message: "no", Remedy: "do"},
		"a.sql: no":     {Path: "a.sql", Message: "no", Remedy: "do"},
		"line 2:3: no":  {Position: place, Message: "no"},
		"no":            {Message: "no"},
	} {
		require.EqualError(t, err, want)
	}
}

func TestProblemsFindsEveryErrorInOrder(t *testing.T) {
	t.Parallel()
	a, b, c := &Error{Message: "a"}, &Error{Message: "b"}, &Error{Message: "c"}
	err := fmt.Errorf("loading: %w", errors.Join(a, fmt.Errorf("more: %w", errors.Join(b, errors.New("other"), c))))
	require.Equal(t, []*Error{a, b, c}, Problems(err))
	require.Empty(t, Problems(nil))
	require.Empty(t, Problems(errors.New("other")))
}

func TestErrorsGiveAwayTheFileSystemsError(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, &Error{Message: "no", cause: fs.ErrPermission}, fs.ErrPermission)
}
