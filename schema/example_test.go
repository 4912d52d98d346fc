package schema_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/schema"
)

func ExampleDiff() {
	ctx := context.Background()
	url, drop, err := server.FreshDatabase(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer drop()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()

	var states [2]schema.Schema
	for i, sql := range []string{
		"CREATE TABLE users (id int, email text DEFAULT 'x'); CREATE INDEX users_email_idx ON users (email)",
		"ALTER TABLE users ALTER email DROP DEFAULT; DROP INDEX users_email_idx",
	} {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			fmt.Println(err)
			return
		}
		if states[i], err = schema.Read(ctx, conn, schema.Options{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, difference := range schema.Diff(states[0], states[1]) {
		fmt.Println(difference)
	}
	// Output:
	// column public.users.email: default 'x'::text → none
	// index public.users_email_idx is missing
}
