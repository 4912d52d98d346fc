// Package faults makes bad luck: a network that is slow, cut or silent, a
// pooler in the way, a replica instead of a primary. Everything in it is real
// (sockets, PgBouncer, PostgreSQL), belongs to the process that started it, and
// ends with it. It is for tests and benchmarks only.
package faults
