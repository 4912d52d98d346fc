package project_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/project"
)

// A program migrates the database of an environment as the command line would.
func ExampleLoad() {
	ctx := context.Background()
	server, url, folder, err := shop(ctx) // yours: PRODUCTION_URL, and the folder of the project
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Stop(); _ = os.RemoveAll(folder) }()
	lookup := func(name string) (string, bool) { return url, name == "PRODUCTION_URL" } // yours: os.LookupEnv

	p, err := project.Load(ctx, filepath.Join(folder, "whimbrel.yaml"),
		project.Options{Environment: "production", Lookup: lookup})
	if err != nil {
		fmt.Println(err)
		return
	}
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := migrator.Up(ctx, whimbrel.UpOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, done := range result.Done {
		fmt.Println(done.Version, done.Name)
	}
	fmt.Println(p.Database.Source, p.Table, p.MaxStall)
	// Output:
	// 1 add_users
	// environment production shop_history 50ms
}

// shop makes a project, and a server with a database for it.
func shop(ctx context.Context) (server *devdb.Server, url, folder string, err error) {
	if folder, err = os.MkdirTemp("", "shop"); err != nil {
		return nil, "", "", err
	}
	for name, text := range map[string]string{
		"whimbrel.yaml": "table: shop_history\nmax_stall: 50ms\nenvironments:\n  production: {url: '${PRODUCTION_URL}'}\n",
		filepath.Join("migrations", "1_add_users.sql"): "CREATE TABLE users (id bigint PRIMARY KEY);\n",
	} {
		path := filepath.Join(folder, name)
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			return nil, "", "", err
		}
	}
	if server, err = devdb.Start(ctx, devdb.Options{}); err != nil {
		return nil, "", "", err
	}
	url, _, err = server.FreshDatabase(ctx)
	return server, url, folder, err
}
