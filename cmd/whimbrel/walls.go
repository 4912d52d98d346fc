package main

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/trial"
)

// Migrations are run on throw-away servers by commands that judge them, and may be a stranger's. What keeps such a
// server from this machine depends on the machine; the commands say where it isn't everything.

// notOurs is the wall around a server that whimbrel has not started: none that is known.
var notOurs = devdb.Walls{Missing: "TEST_DB_* names a server that is not whimbrel's own"}

// onDevelopmentServer is the one around the project's development server.
var onDevelopmentServer = devdb.Walls{Missing: "the development server has none"}

// walled is told of the walls around each server that something starts for this command.
func (a *app) walled(walls devdb.Walls) error {
	if a.needsWalls && !walls.Any() {
		return usage("run it on Linux 5.13 or newer, and where a container's filter of system calls lets Landlock pass; "+
			"or say --unsandboxed, if the migrations are trusted or the machine is thrown away afterwards",
			"nothing would keep the migrations that are judged from this machine: there are no walls around the throw-away "+
				"server (%s)", walls.Missing)
	}
	a.tellOfWalls(walls)
	return nil
}

// rehearsalServer answers for every command which server migrations are tried on: the one
// that TEST_DB_* names, by which the caller has said that migrations may run there,
// outside of all walls; and nil for one of the command's own, where none is named. What
// cannot be there, or must not, is said.
func (a *app) rehearsalServer(ctx context.Context) (*pgx.ConnConfig, error) {
	connection, err := a.chooseServer(ctx)
	if connection != nil {
		a.tellOfWalls(notOurs)
	}
	return connection, err
}

func (a *app) chooseServer(ctx context.Context) (*pgx.ConnConfig, error) {
	a.wallsMutex.Lock()
	defer a.wallsMutex.Unlock()
	connection, err := a.testServer()
	if err != nil || connection == nil {
		return nil, err
	}
	own := ""
	switch {
	case a.needsWalls:
		own = "the migrations of a change may be a stranger's, so they are tried behind walls, " +
			"on a server of whimbrel's own: --unsandboxed says that they are trusted"
	case a.needsServers:
		own = "the proof takes two servers, so whimbrel starts them"
	case !a.needsSuperuser:
		return connection, nil
	default:
		if super, err := trial.Superuser(ctx, connection); super || err != nil {
			return connection, err
		}
		own = "its role is no superuser, and sandbox.superuser of whimbrel.yaml asks for one"
	}
	a.remark("the server that TEST_DB_* names is not used: " + own)
	return nil, nil
}

// lend gives that server to whatever would start one.
func (a *app) lend(ctx context.Context) (*devdb.Lent, error) {
	connection, err := a.rehearsalServer(ctx)
	if err != nil || connection == nil {
		return nil, err
	}
	return trial.Lend(ctx, connection, notOurs.Missing, a.loaded, a.furnishing)
}

// tellOfWalls says once which walls are in force, where it is not all of them.
func (a *app) tellOfWalls(walls devdb.Walls) {
	a.wallsMutex.Lock()
	defer a.wallsMutex.Unlock()
	if walls.Full() || a.walls != nil {
		return
	}
	a.walls = &walls
	if walls.Any() {
		a.note("%s walls around the throw-away server: %s", a.errStyle.Warning("!"), walls)
		return
	}
	a.note("%s no walls around the server (%s): what the migrations do there, they do on that machine",
		a.errStyle.Warning("!"), walls.Missing)
}

// withWalls adds them to a JSON object, where it is not all of them.
func (a *app) withWalls(object []byte) []byte {
	head, whole := bytes.CutSuffix(object, []byte("}"))
	if a.walls == nil || !whole || len(head) < 2 {
		return object
	}
	text, err := json.Marshal(a.walls)
	if err != nil {
		return object
	}
	return append(append(append(bytes.Clone(head), `,"walls":`...), text...), '}')
}
