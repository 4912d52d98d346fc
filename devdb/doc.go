// Package devdb runs PostgreSQL servers on this machine, for development and for tests, without anything to set up.
//
// [Start] gives a throw-away server: it is ready in well under a tenth of a second, lives on a memory file system where
// there is one, and dies with the process that started it, even when that process is killed. [OpenProject] gives a
// project its development server, which keeps its data under a folder of the project and outlives the command that
// started it.
//
// The servers are ordinary PostgreSQL binaries. [Find] looks for them on the machine, and fetches them once when there
// are none. The package knows nothing about migrations.
package devdb
