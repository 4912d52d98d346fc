//go:build unix

package whimbreltest_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/whimbrel-db/whimbrel/whimbreltest"
)

// Yours is an embed.FS:
//
//	//go:embed migrations/*.sql
//	var migrations embed.FS
var migrations = fstest.MapFS{
	"migrations/20240115120000_add_users.sql": {Data: []byte("CREATE TABLE users (id bigint PRIMARY KEY);\n" +
		"-- +migrate Down\nDROP TABLE users;\n")},
	"migrations/20240116090000_add_names.sql": {Data: []byte("ALTER TABLE users ADD COLUMN name text;\n" +
		"-- +migrate Down\nALTER TABLE users DROP COLUMN name;\n")},
}

// Yours is func TestUsersHaveNames(t *testing.T).
func testUsersHaveNames(t testing.TB) {
	db := whimbreltest.New(t, migrations, whimbreltest.Dir("migrations"))
	if _, err := db.Exec(t.Context(), "INSERT INTO users VALUES (1, 'Ada')"); err != nil {
		t.Fatalf("adding a user: %v", err)
	}
	var name string
	if err := db.QueryRow(t.Context(), "SELECT name FROM users").Scan(&name); err != nil {
		t.Fatalf("reading the user: %v", err)
	}
	fmt.Println(name)
}

func ExampleNew() {
	whimbreltest.RunExample(testUsersHaveNames)
	// Output: Ada
}
