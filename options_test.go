package whimbrel_test

import (
	"context"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// Of each number that a caller can give, one that cannot be meant is refused by the name
// of its field, before anything is connected to; the few for which a negative one means
// something say so.
func TestANumberThatCannotBeMeantIsRefusedByItsName(t *testing.T) {
	t.Parallel()
	negativeMeans := map[string]string{
		"Config.LockWait":      "not at all",
		"Config.MaxReplicaLag": "replicas are left out of account",
	}
	nowhere := whimbrel.Config{Target: whimbrel.Target{DatabaseURL: "postgres://nobody@nowhere.invalid/x"}}
	calls := map[string]func(context.Context, *whimbrel.Migrator, any) error{
		"UpOptions": func(ctx context.Context, m *whimbrel.Migrator, o any) error {
			_, err := m.Up(ctx, o.(whimbrel.UpOptions))
			return err
		},
		"DownOptions": func(ctx context.Context, m *whimbrel.Migrator, o any) error {
			_, err := m.Down(ctx, o.(whimbrel.DownOptions))
			return err
		},
		"RedoOptions": func(ctx context.Context, m *whimbrel.Migrator, o any) error {
			_, err := m.Redo(ctx, o.(whimbrel.RedoOptions))
			return err
		},
		"HistoryOptions": func(ctx context.Context, m *whimbrel.Migrator, o any) error {
			_, err := m.History(ctx, o.(whimbrel.HistoryOptions))
			return err
		},
		"Config": func(_ context.Context, _ *whimbrel.Migrator, o any) error {
			c := o.(whimbrel.Config)
			c.DatabaseURL = nowhere.DatabaseURL
			_, err := whimbrel.New(c)
			return err
		},
	}
	seen := 0
	for _, options := range []any{
		whimbrel.UpOptions{}, whimbrel.DownOptions{}, whimbrel.RedoOptions{}, whimbrel.HistoryOptions{},
		whimbrel.ToOptions{}, whimbrel.RecoverOptions{}, whimbrel.Config{},
	} {
		kind := reflect.TypeOf(options)
		for _, field := range reflect.VisibleFields(kind) {
			if !field.IsExported() || field.Type.Kind() != reflect.Int && field.Type != reflect.TypeFor[time.Duration]() {
				continue
			}
			for _, value := range []int64{-1, math.MinInt64} {
				given := reflect.New(kind).Elem()
				given.FieldByIndex(field.Index).SetInt(value)
				name := kind.Name() + "." + field.Name
				require.Contains(t, calls, kind.Name(), "%s has a number: add its call", name)
				m, err := whimbrel.New(nowhere)
				require.NoError(t, err)
				err = calls[kind.Name()](t.Context(), m, given.Interface())
				seen++
				if negativeMeans[name] != "" {
					require.NoError(t, err, name)
					continue
				}
				require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Message, field.Name, name)
			}
		}
	}
	require.GreaterOrEqual(t, seen, 2*10)
}
