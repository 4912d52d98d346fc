package whimbreltest

import (
	"context"
	"sync"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// servers are those of this process, by major version. There is nothing here that
// would tell other processes when the last one has gone, so that each has its own.
var servers = struct {
	sync.Mutex
	running map[int]*devdb.Server
}{running: map[int]*devdb.Server{}}

// open gives this process's server. It ends with the process.
func (s sharing) open(ctx context.Context, major int, progress func(string)) (url string, visit visit, err error) {
	servers.Lock()
	defer servers.Unlock()
	server := servers.running[major]
	if server == nil {
		server, err = devdb.Start(ctx, devdb.Options{Major: major, Progress: progress})
		if err != nil {
			return "", nil, err
		}
		servers.running[major] = server
	}
	return server.URL("postgres"), visitor{}, nil
}

type visitor struct{}

func (visitor) keep() string {
	return "until this test binary ends; " + urlVariable + " names a server that stays"
}
func (visitor) leave() {}
