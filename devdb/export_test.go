package devdb

// TestsInMemory says where tests find a memory file system that has room for all of their servers; "" when there is
// none.
func TestsInMemory() string {
	if freeMemory(memoryFolder) > 4<<30 {
		return memoryFolder
	}
	return ""
}

// Exists says whether there is a process with that number.
func Exists(pid int) bool { return exists(pid) }
