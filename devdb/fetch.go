package devdb

import (
	"context"
	"errors"
)

func fetch(ctx context.Context, cache string, options FindOptions) (installation, error) {
	return installation{}, errors.New("x")
}
