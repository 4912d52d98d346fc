package trial_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

// A down migration that forgets something is found before production finds it.
func ExampleRun() {
	migrations, err := migration.Load(migration.Source{FS: fstest.MapFS{
		"1_users.sql": {Data: []byte("CREATE TABLE users (id int, email text);\n-- +migrate Down\nDROP TABLE users;")},
		"2_email.sql": {Data: []byte("CREATE INDEX users_email ON users (email);\n-- +migrate Down\nSELECT 1;")},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := trial.Run(context.Background(), trial.Options{Project: whimbrel.Project{Migrations: migrations}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range report.Migrations {
		fmt.Println(m.Version, m.Name, m.Status)
		for _, f := range m.Findings {
			fmt.Println("  " + f.Message)
		}
	}
	// Output:
	// 1 users passed
	// 2 email failed
	//   down leaves index public.users_email behind
}
