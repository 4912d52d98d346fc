package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What the collector is told, in percent of what is in use, with at least so much of
// 4 MB; see debug.SetGCPercent. A command with nothing to do is over before there are
// 6 MB, and collecting took a fifth of its time; one that has much to do is to be
// small beside the database's own clients. Where much is in use, as the text of a very
// large file, what waits to be collected is no more than mostGarbage, in bytes.
const (
	untilFirstCollection = 150
	fromThenOn           = 50
	mostGarbage          = 12 << 20
)

// spareMemory tells the collector so, unless GOGC says something else.
func spareMemory() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(untilFirstCollection)
	afterCollection()
}

// afterCollection sets the percentage again after each collection.
func afterCollection() {
	type sentinel struct{ _ [4]*int } // large enough to be collected by itself
	runtime.AddCleanup(new(sentinel), func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetGCPercent(percentBeside(live[0].Value.Uint64()))
		afterCollection()
	}, struct{}{})
}

// percentBeside is what the collector is told where so many bytes are in use.
func percentBeside(live uint64) int {
	return int(min(fromThenOn, 100*mostGarbage/max(live, 1)))
}
