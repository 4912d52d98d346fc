// Package leasemodel holds a formal model of the lease, in Promela, and the
// test that has the model checker Spin explore it in every interleaving. It is
// no part of any program. docs/lease.md says what is proved and what is assumed.
package leasemodel
