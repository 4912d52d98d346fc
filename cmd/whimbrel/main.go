// Command whimbrel migrates PostgreSQL databases: exactly once, one runner at a
// time, without stalling live traffic, with proved down migrations.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // of machines that have no time zones
)

func main() {
	spareMemory()
	os.Exit(run(context.Background(), os.Args[1:], process()))
}
