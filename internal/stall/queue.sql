-- The queues around the sessions that are called $1, and without those called $2: this run's
-- own monitor and the keeper of its lease. A concurrent build that waits for their
-- snapshots waits for a moment. pg_locks stops all taking of locks while it is read, so it
-- is only read where the role may not see in pg_stat_activity who waits. See
-- pg_blocking_pids and pg_locks in PostgreSQL's documentation.
WITH worker AS MATERIALIZED (
	SELECT a.pid, a.wait_event_type IS NOT DISTINCT FROM 'Lock' AS waiting FROM pg_catalog.pg_stat_activity a
	WHERE a.application_name = $1 AND a.datname = pg_catalog.current_database() AND a.state = 'active'
), waiters AS MATERIALIZED (
	SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.wait_event_type = 'Lock'
	UNION
	SELECT l.pid FROM pg_catalog.pg_locks l WHERE NOT l.granted AND (SELECT NOT pg_catalog.pg_has_role('pg_read_all_stats', 'member'))
)
SELECT worker.pid, worker.waiting, near.ahead, b.pid, coalesce(b.application_name, ''), coalesce(b.usename, ''), coalesce(b.state, b.backend_type, ''), coalesce(b.query, ''),
	coalesce(pg_catalog.clock_timestamp() - CASE WHEN near.ahead THEN coalesce(b.xact_start, b.query_start) ELSE b.query_start END, '0')
FROM worker CROSS JOIN LATERAL (
	SELECT true AS ahead, pid FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(worker.pid)) AS pid WHERE worker.waiting AND pid NOT IN (SELECT w.pid FROM worker w)
	UNION
	SELECT false, waiters.pid FROM waiters WHERE waiters.pid NOT IN (SELECT w.pid FROM worker w) AND worker.pid = ANY (pg_catalog.pg_blocking_pids(waiters.pid))
) near JOIN pg_catalog.pg_stat_activity b ON b.pid = near.pid AND coalesce(b.backend_type, 'client backend') = 'client backend' OR b.pid = near.pid AND near.ahead
WHERE b.application_name IS DISTINCT FROM $2
ORDER BY worker.pid, near.ahead, b.pid
