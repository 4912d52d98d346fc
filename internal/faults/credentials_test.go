package faults_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// tokens are passwords as a cloud gives them out: the one before is not valid any more.
type tokens struct {
	mutex   sync.Mutex
	current string
	fetched map[string]int // by what the connection is called
}

func (k *tokens) fetch(_ context.Context, c *pgx.ConnConfig) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	c.Password = k.current
	k.fetched[c.RuntimeParams["application_name"]]++
	return nil
}

// so far gives how often a token was fetched, for the connection at work and those aside.
func (k *tokens) soFar() (atWork, aside int) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.fetched["whimbrel"], k.fetched["whimbrel aside"]
}

func (k *tokens) rotate(b *bundle, token string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	b.exec(fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", b.name, token))
	k.current = token
}

func TestEveryConnectionOfARunGetsTheCredentialsOfThatMoment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	url := b.role("token-0", "SUPERUSER")
	k := &tokens{current: "token-0", fetched: map[string]int{}}
	f := files{
		"1_chain.sql": "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY ON a (id);\nSELECT pg_sleep(0.8);",
		"2_chain.sql": "CREATE TABLE b (id int);\nCREATE INDEX CONCURRENTLY ON b (id);\nSELECT pg_sleep(0.8);",
		"3_last.sql":  "CREATE TABLE c (id int);",
	}
	rotated := false
	var before, beforeAside int
	err := b.up(f, through(strings.Replace(url, "token-0", "nothing", 1)), lease(2*time.Second),
		func(c *whimbrel.Config) { c.BeforeConnect = k.fetch },
		hearing(func(r whimbrel.Record) {
			if e, is := r.Event.(whimbrel.StepStarted); !is || rotated || e.Migration.Version != "2" {
				return
			}
			rotated = true
			before, beforeAside = k.soFar()
			k.rotate(b, "token-1")
			b.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = '" +
				b.name + "'")
		}))
	require.NoError(t, err)
	require.True(t, rotated)
	require.Equal(t, "1 2 3", b.applied())
	atWork, aside := k.soFar()
	require.Equal(t, 1, before)
	require.Equal(t, 2, beforeAside, "for renewing the lease, and for the watch")
	require.Greater(t, atWork, before, "for connecting again")
	require.Greater(t, aside, beforeAside)
	require.Contains(t, fails(t, b.up(f, through(url)), whimbrel.CodeConnection).Message, "password authentication failed",
		"the token of the beginning is revoked")
}
