// Package pool hands a pool of pgx to the engine.
package pool

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/whimbrel-db/whimbrel"
)

// Target is the database of a pool. Of the pool's configuration, only how it connects is
// taken: ConnConfig and BeforeConnect. The engine opens connections of its own and takes
// none of the pool's, so a pool of one connection that is in use will do.
func Target(p *pgxpool.Pool) whimbrel.Target {
	c := p.Config()
	return whimbrel.Target{Connection: c.ConnConfig, BeforeConnect: c.BeforeConnect}
}
