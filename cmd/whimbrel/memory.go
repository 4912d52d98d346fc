package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// What the collector is told, in percent of what is in use, with at least so much of
// 4 MB; see debug.SetGCPercent. A command with nothing to do is over before there are
// 6 MB, and collecting took a fifth of its time; one that has much to do is to be
// small beside the database's own clients.
const (
	untilFirstCollection = 150
	fromThenOn           = 50
)

// spareMemory tells the collector so, unless GOGC says something else.
func spareMemory() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(untilFirstCollection)
	type sentinel struct{ _ [4]*int } // large enough to be collected by itself
	runtime.AddCleanup(new(sentinel), func(struct{}) { debug.SetGCPercent(fromThenOn) }, struct{}{})
}
