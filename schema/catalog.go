package schema

import "slices"

// readings are all queries, for every version of PostgreSQL from 13.
// What the columns of the catalogs mean is in https://www.postgresql.org/docs/current/catalogs.html
var readings = slices.Concat(
	database, namespaces, types,
	relations, columns, constraints, indexes, sequences, statistics, rules,
	routines, operators, textSearch,
	triggers, policies,
	foreign, replication,
	defaultPrivileges, systemPrivileges,
)
