//go:build !race

package main

// raceDetector is whether this test binary, which is also the command of its
// scripts, has the race detector in it.
const raceDetector = false
