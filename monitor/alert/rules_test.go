package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	users = whimbrel.Ref{Version: "20240115120000", Name: "add_users", Path: "migrations/20240115120000_add_users.sql",
		Direction: whimbrel.Up}
)

// story is what happens, at minutes after noon; nil is the passing of time.
type story []scene

type scene struct {
	minute float64
	event  whimbrel.Event
}

// tell plays a story and gives each alert in a few words, with its minute.
func (s story) tell(limits Limits) []string {
	var heard []string
	for _, a := range s.play(limits) {
		heard = append(heard, fmt.Sprintf("%v %s %s %s %s", a.Time.Sub(noon).Minutes(), a.Status, a.Reason, a.Type,
			a.Severity))
	}
	return heard
}

// play asks the rules whenever they want to be asked, and gives all alerts.
func (s story) play(limits Limits) []Alert {
	r := rules{limits: limits.withDefaults(), environment: "production", runner: "ann@host pid 7"}
	alerts := r.observe(noon, whimbrel.RunStarted{Command: "up", Database: "ann@db:5432/shop", Planned: 1})
	for _, scene := range s {
		at := noon.Add(time.Duration(scene.minute * float64(time.Minute)))
		for next := r.next(); !next.IsZero() && !next.After(at); next = r.next() {
			alerts = append(alerts, r.tick(next)...)
		}
		if scene.event != nil {
			alerts = append(alerts, r.observe(at, scene.event)...)
		}
	}
	return alerts
}

func minutes(n float64) time.Duration {
	return time.Duration(n * float64(time.Minute))
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	started := whimbrel.MigrationStarted{Migration: users, Steps: 1}
	finished := whimbrel.MigrationFinished{Migration: users}
	step := whimbrel.StepStarted{Migration: users, Step: 1, StepKind: whimbrel.StepSQL}
	batch := whimbrel.StepStarted{Migration: users, Step: 1, StepKind: whimbrel.StepBatch}
	progress := whimbrel.BatchProgress{Migration: users, Step: 1, Keys: 10}
	failed := whimbrel.Failed{Migration: users, Duration: minutes(1), Error: &whimbrel.Error{Code: whimbrel.CodeStatement,
		Message: "no"}}
	over := func(code whimbrel.Code) whimbrel.RunFinished {
		return whimbrel.RunFinished{Command: "up", Error: &whimbrel.Error{Code: code, Message: "no"}}
	}
	locked := whimbrel.LockWaiting{Migration: users, Step: 1,
		Blockers: []whimbrel.Blocker{{PID: 7, Query: "UPDATE cards SET number = '4111'"}}}
	backoff := whimbrel.Retrying{Migration: users, Step: 1, SQLState: "55P03"}

	for name, test := range map[string]struct {
		story    story
		limits   Limits
		expected []string
	}{
		"a quick migration": {story{{0, started}, {4, finished}, {4, whimbrel.RunFinished{}}, {60, nil}}, Limits{}, nil},
		"a slow one, while it runs": {story{{0, started}, {6, nil}}, Limits{}, []string{
			"5 firing slow warning medium"}},
		"a slower one, once each, and its end": {story{{0, started}, {30, nil}, {31, finished}, {32, nil}}, Limits{},
			[]string{
				"5 firing slow warning medium", "10 firing slow warning high", "31 resolved slow warning high"}},
		"a slow one that fails": {story{{0, started}, {7, failed}, {7, over(whimbrel.CodeStatement)}}, Limits{}, []string{
			"5 firing slow warning medium", "7 firing failed error critical", "7 resolved slow warning medium"}},
		"limits of one's own": {story{{0, started}, {3, finished}}, Limits{SlowMedium: time.Minute,
			SlowHigh: 2 * time.Minute}, []string{
			"1 firing slow warning medium", "2 firing slow warning high", "3 resolved slow warning high"}},
		"only the high one": {story{{0, started}, {20, nil}}, Limits{SlowMedium: -1},
			[]string{"10 firing slow warning high"}},
		"none at all": {story{{0, started}, {600, finished}}, Limits{SlowMedium: -1, SlowHigh: -1},
			nil},
		"two in a row, each by its own time": {story{{0, started}, {4, finished}, {4, started}, {8, finished}}, Limits{},
			nil},
		"a failure, mended in the next run": {story{{0, started}, {1, failed}, {1, over(whimbrel.CodeStatement)},
			{2, whimbrel.RunStarted{Command: "up"}}, {2, started}, {3, finished}}, Limits{}, []string{
			"1 firing failed error critical", "3 resolved failed error critical"}},
		"a failure, twice, mended once": {story{{0, started}, {1, failed}, {1, over(whimbrel.CodeStatement)}, {2, started},
			{3, failed}, {4, started}, {5, finished}}, Limits{}, []string{
			"1 firing failed error critical", "3 firing failed error critical", "5 resolved failed error critical"}},
		"an interruption in a migration": {story{{0, started},
			{1, whimbrel.Failed{Migration: users, Error: &whimbrel.Error{Code: whimbrel.CodeInterrupted}}}}, Limits{}, nil},
		"an interruption between two": {story{{1, over(whimbrel.CodeInterrupted)}}, Limits{}, nil},
		"a refusal by the engine": {story{{1, over(whimbrel.CodeChanged)}, {2, whimbrel.RunStarted{Command: "up"}},
			{3, whimbrel.RunFinished{Command: "up"}}}, Limits{}, []string{
			"1 firing refused error high", "3 resolved refused error high"}},
		"no connection": {story{{1, over(whimbrel.CodeConnection)}}, Limits{}, []string{"1 firing failed error critical"}},
		"waiting for the lease, and having it": {story{{0, whimbrel.LeaseWaiting{}},
			{1, whimbrel.LeaseWaiting{Waited: minutes(1)}}, {3, whimbrel.LeaseTaken{}}}, Limits{}, []string{
			"2 firing lease warning medium", "3 resolved lease warning medium"}},
		"waiting for the lease in vain": {story{{0, whimbrel.LeaseWaiting{}}, {10, over(whimbrel.CodeLeaseHeld)}}, Limits{},
			[]string{
				"2 firing lease warning medium", "10 firing lease error high", "10 resolved lease warning medium"}},
		"backing off for long": {story{{0, started}, {0, step}, {0, backoff}, {.2, backoff}, {.4, backoff}, {.6, backoff},
			{.8, locked}, {1, backoff}, {1.1, whimbrel.StepFinished{}}}, Limits{}, []string{
			"1 firing lock warning medium", "1.1 resolved lock warning medium"}},
		"a lock that was had, then long work": {story{{0, started}, {0, step}, {0, locked}, {3, nil}}, Limits{}, nil},
		"backing off for a deadlock is no waiting": {story{{0, started}, {0, step}, {0, whimbrel.Retrying{SQLState: "40P01"}},
			{2, nil}}, Limits{}, nil},
		"others wait behind a step": {story{{0, started}, {0, step}, {1, whimbrel.TrafficWaiting{Migration: users,
			Longest: minutes(.01)}}, {2, whimbrel.StepFinished{}}}, Limits{Traffic: time.Minute}, []string{
			"1.99 firing traffic warning high", "2 resolved traffic warning high"}},
		"others wait behind a step that backs off": {story{{0, step}, {1, whimbrel.TrafficWaiting{Migration: users}},
			{1.01, backoff}, {2, nil}}, Limits{Lock: -1}, nil},
		"a backfill that moves": {story{{0, batch}, {4, progress}, {8, progress},
			{12, whimbrel.StepFinished{}}}, Limits{}, nil},
		"a backfill that makes no progress, twice": {story{{0, batch}, {4, progress}, {10, progress},
			{12, whimbrel.BatchPaused{Migration: users, Reason: "replicas are behind"}}, {16, whimbrel.BatchResumed{}}, {17,
				progress}}, Limits{}, []string{
			"9 firing still warning medium", "10 resolved still warning medium", "15 firing still warning medium",
			"17 resolved still warning medium"}},
		"a run that ends takes all with it": {story{{0, started}, {0, batch}, {6, over(whimbrel.CodeLeaseLost)}}, Limits{},
			[]string{
				"5 firing slow warning medium", "5 firing still warning medium", "6 firing failed error critical",
				"6 resolved slow warning medium", "6 resolved still warning medium"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.expected, test.story.tell(test.limits))
		})
	}
}

func TestAlertsAboutOneThingHaveOneKey(t *testing.T) {
	t.Parallel()
	alerts := story{{0, whimbrel.MigrationStarted{Migration: users}},
		{11, whimbrel.MigrationFinished{Migration: users}}}.play(Limits{})
	require.Len(t, alerts, 3)
	ids := map[string]bool{}
	for _, a := range alerts {
		require.Equal(t, "whimbrel/ann@db:5432/shop/20240115120000/up/slow", a.Key)
		ids[a.ID] = true
	}
	require.Len(t, ids, 3)
	long := users
	long.Version = "1"
	r := rules{database: strings.Repeat("d", 300)}
	require.Less(t, len(r.about(Slow, keyOf(long, Slow)).Key), 200)
	require.NotEqual(t, r.about(Slow, keyOf(long, Slow)).Key, r.about(Slow, keyOf(users, Slow)).Key)
}

func TestAnAlertSaysWhatWhereAndSinceWhen(t *testing.T) {
	t.Parallel()
	alerts := story{{0, whimbrel.MigrationStarted{Migration: users}},
		{11, whimbrel.MigrationFinished{Migration: users}}}.play(Limits{})
	require.Equal(t, "Migration 20240115120000_add_users is slow", alerts[1].Title)
	require.Equal(t, `Migration 20240115120000_add_users (up) has been running for 10 min and is still at work.
Database: ann@db:5432/shop
Environment: production
Migration: 20240115120000_add_users (up)
File: migrations/20240115120000_add_users.sql
Duration: 10 min
Severity: high
Run by: ann@host pid 7
What to do: see what it does with `+"`whimbrel lock`"+`; it can be stopped with Ctrl-C without losing what is done`,
		alerts[1].Text())
	require.Equal(t, "Resolved: Migration 20240115120000_add_users is slow", alerts[2].Title)
	require.Equal(t, "It finished after all, after 11 min.", alerts[2].Message)

	failure := story{{1, whimbrel.Failed{Migration: users, Duration: minutes(1), Error: &whimbrel.Error{
		Code: whimbrel.CodeStatement, Message: `relation "user" does not exist`, SQLState: "42P01", Path: users.Path,
		Line: 3, Column: 9, Remedy: "mend it", Detail: "secret row",
	}}}}.play(Limits{})[0]
	require.Equal(
		t, `Migration 20240115120000_add_users (up) failed after 1 min: `+
			`migrations/20240115120000_add_users.sql:3:9: relation "user" does not exist (SQLSTATE 42P01)`, failure.Message)
	require.Equal(t, &Failure{Code: whimbrel.CodeStatement, Message: `relation "user" does not exist`, SQLState: "42P01",
		Path: users.Path, Line: 3, Column: 9}, failure.Error)
	require.NotContains(t, failure.Text(), "secret row")
}

func TestWhoStandsInTheWayIsSaidWithoutHisQuery(t *testing.T) {
	t.Parallel()
	blockers := []whimbrel.Blocker{{PID: 7, Application: "shop", User: "bob", State: "idle in transaction",
		Query: "UPDATE cards SET number = '4111'", Age: minutes(3)}}
	a := story{{0, whimbrel.LockWaiting{Migration: users, Step: 2, Blockers: blockers}},
		{.2, whimbrel.LockWaiting{Migration: users, Step: 2, Blockers: blockers}}, {.3,
			nil}}.play(Limits{Lock: 10 * time.Second})[0]
	require.Contains(t, a.Text(), "Blocked by: pid 7, shop, bob, idle in transaction, for 3 min")
	require.NotContains(t, fmt.Sprintf("%+v %s", a, a.Text()), "4111")
}

func TestAFailureOfAnEarlierProcessIsResolvedUnderItsKey(t *testing.T) {
	t.Parallel()
	earlier := story{{1, whimbrel.Failed{Migration: users}}}.play(Limits{})[0]
	r := rules{limits: Limits{}.withDefaults(), outstanding: []Alert{{Migration: &users}}}
	r.observe(noon, whimbrel.RunStarted{Command: "up", Database: "ann@db:5432/shop"})
	alerts := r.observe(noon, whimbrel.MigrationFinished{Migration: users})
	require.Len(t, alerts, 1)
	require.Equal(t, earlier.Key, alerts[0].Key)
	require.Equal(t, Resolved, alerts[0].Status)
	require.Equal(t, Critical, alerts[0].Severity)
	require.Empty(t, r.outstanding)
}

func TestSeveritiesAreRead(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]Severity{"": Low, "HIGH": High, "critical": Critical} {
		s, err := ParseSeverity(text)
		require.NoError(t, err)
		require.Equal(t, expected, s)
	}
	_, err := ParseSeverity("urgent")
	require.ErrorContains(t, err, "low, medium, high or critical")
}
