package pgsql
func classify(scan scanner) (Class, string) { return Other, "" }
func escapesAfter(scan scanner, command string) bool { return scan.escapes }
