//go:build !linux

package devdb

import "os"

// There is no memory file system that every machine has.
const memoryFolder = ""

// rootTemporary is tried when the folder for temporary files cannot be used.
var rootTemporary = os.TempDir()

func freeMemory(string) int64 { return 0 }
