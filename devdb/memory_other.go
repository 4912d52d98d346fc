//go:build !linux

package devdb

import "os"

// No memory file system exists on every machine.
const memoryFolder = ""

// rootTemporary is tried when the folder for temporary files cannot be used.
var rootTemporary = os.TempDir()

func freeMemory(string) int64 { return 0 }
