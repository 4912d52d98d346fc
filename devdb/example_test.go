package devdb_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/devdb"
)

func ExampleStart() {
	ctx := context.Background()
	server, err := devdb.Start(ctx, devdb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Stop() }()

	url, drop, err := server.FreshDatabase(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer drop()

	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = connection.Close(ctx) }()
	var sum int
	if err := connection.QueryRow(ctx, "SELECT 1 + 1").Scan(&sum); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sum)
	// Output: 2
}
