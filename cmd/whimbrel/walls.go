package main

import (
	"bytes"
	"encoding/json"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// Migrations are run on throw-away servers by commands that judge them, and may be a stranger's. What keeps such a server from this
// machine depends on the machine; the commands say where it isn't everything.

// notOurs is the wall around a server that whimbrel has not started: none that is known.
var notOurs = devdb.Walls{Missing: "TEST_DB_* names a server that is not whimbrel's own"}

// onDevelopmentServer is the one around the project's development server.
var onDevelopmentServer = devdb.Walls{Missing: "the development server has none"}

// walled is told of the walls around each server that something starts for this command.
func (a *app) walled(walls devdb.Walls) error {
	if a.needsWalls && !walls.Any() {
		return usage("run it on Linux 5.13 or newer, and where a container's filter of system calls lets Landlock pass; "+
			"or say --unsandboxed, if the migrations are trusted or the machine is thrown away afterwards",
			"nothing would keep the migrations that are judged from this machine: there are no walls around the throw-away server (%s)", walls.Missing)
	}
	a.tellOfTestServer()
	a.tellOfWalls(walls)
	return nil
}

// tellOfTestServer says, where a command has started a server of its own, that it leaves
// the one of TEST_DB_* alone: only test works on that, since nothing keeps migrations
// from a machine that is not ours. It is so for every command.
func (a *app) tellOfTestServer() {
	a.wallsMutex.Lock()
	defer a.wallsMutex.Unlock()
	if dial.Variables("TEST_DB_", "test", a.lookup) != "" {
		a.remark("TEST_DB_* names the server of whimbrel test; this command starts one of its own")
	}
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
		a.note("%s walls around the throw-away server: %s", a.errPalette.warn("!"), walls)
		return
	}
	a.note("%s no walls around the server (%s): what the migrations do there, they do on that machine", a.errPalette.warn("!"), walls.Missing)
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
