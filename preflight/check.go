package preflight

import "context"

// check is one thing that is looked at. Its function reads and judges; the error
// is for what could not be read.
type check struct {
	name string
	// about says in a few words what it is for.
	about string
	// blocking is set where a run should stop if the check does not pass.
	blocking bool
	look     func(context.Context, *visit) (finding, error)
}

// finding is what a check found.
type finding struct {
	passed bool
	// unknown is set where too little could be seen to tell. It has not passed then.
	unknown bool
	// advisory is set where it stops a run only if Options.Block names the check.
	advisory bool
	message  string
	remedy   string
	// unseen lists what the role, or this program, could not see.
	unseen  []string
	details Details
}

// history is the one check that needs more than a connection.
const history = "history"

// checks are all checks, in the order in which they are made and shown.
func checks() []check {
	return []check{
		{"writable", "the server takes writes: it is not a standby, and not read-only", true, lookWritable},
		{"table_locks", "no query and no transaction has been open for long", true, lookLocks},
		{"data_size", "how many tables are big, and what is done to them", false, lookSize},
		{"dependencies", "who else uses the database: applications, replicas, subscribers", false, lookDependencies},
		{"backup_status", "there is a recent backup", true, lookBackup},
		{"maintenance_window", "now is a time for it", false, lookWindow},
		{"privileges", "the role may do everything that is pending", true, lookPrivileges},
		{history, "the history agrees with the files", true, lookHistory},
		{"schema_changes", "nobody else has changed the schema since the last run", false, lookDrift},
		{"version_traps", "the server's version has no known fault that what is pending would meet", true, lookTraps},
		{"connections", "the server has connections left", true, lookConnections},
		{"lock_capacity", "the lock table has room for what is pending", true, lookCapacity},
		{"invalid_indexes", "no index is invalid", false, lookIndexes},
		{"key_exhaustion", "no sequence and no integer key is near its end", false, lookKeys},
		{"transaction_id_age", "transaction ids are far from wrapping around", false, lookWraparound},
		{"idle_in_transaction", "forgotten transactions are ended by the server", false, lookIdle},
	}
}

// Names gives the names of all checks, in their order.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// Description says what a check is for and whether it stops a run unless told
// otherwise; "" for a name that does not exist.
func Description(name string) (about string, blocking bool) {
	for _, c := range checks() {
		if c.name == name {
			return c.about, c.blocking
		}
	}
	return "", false
}
