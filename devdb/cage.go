package devdb

import (
	"context"
	"path/filepath"
	"strings"
)

// Confinement says what the processes of a throw-away server may reach of the machine. Migrations run on such servers
// as superuser, and a migration may be a stranger's: without walls, COPY … FROM PROGRAM in it is a program on this
// machine.
type Confinement int

const (
	// Confined puts up every wall that the system has; Server.Walls says which these are. Programs and files of the
	// machine are closed to what runs there: an archive_command, a tablespace, a file to COPY from. It is the zero value.
	Confined Confinement = iota
	// Unconfined leaves a server what its account may do: for what is trusted, and needs that.
	Unconfined
)

// Walls are what keeps the processes of a server from the machine. The zero value is a server without walls.
type Walls struct {
	// Files: it reads the installation of PostgreSQL and the system's libraries, writes into its own folders, and runs no
	// program.
	Files bool `json:"files"`
	// TCP: it connects to no port, and listens on its own only (where Landlock knows ports, since Linux 6.7).
	TCP bool `json:"tcp"`
	// Signals: it signals no process but its own, and uses no abstract socket of others.
	Signals bool `json:"signals"`
	// Sockets: it connects to no socket that has a path, and sends no datagrams.
	Sockets bool `json:"sockets"`
	// Missing says why a wall is missing; empty where none is.
	Missing string `json:"missing,omitempty"`
}

// Any reports whether there is a wall at all.
func (w Walls) Any() bool { return w.Files }

// String is for people: "files, programs, TCP, signals, sockets", or "none (…)".
func (w Walls) String() string {
	var names []string
	if w.Files {
		names = append(names, "files", "programs")
	}
	if w.TCP {
		names = append(names, "TCP")
	}
	if w.Signals {
		names = append(names, "signals")
	}
	if w.Sockets {
		names = append(names, "sockets")
	}
	if len(names) == 0 {
		names = append(names, "none")
	}
	text := strings.Join(names, ", ")
	if w.Missing != "" {
		text += " (" + w.Missing + ")"
	}
	return text
}

// Full reports whether none is missing.
func (w Walls) Full() bool { return w.Missing == "" }

// wallsKey is that of WatchWalls in a context.
type wallsKey struct{}

// WatchWalls gives a context with which every Start tells which walls stand around its server, before it gives the
// server to anybody. An error of told ends the server and is the error of Start: so anyone who starts none itself, but
// has something else start them, decides.
func WatchWalls(ctx context.Context, told func(Walls) error) context.Context {
	return context.WithValue(ctx, wallsKey{}, told)
}

func tellOfWalls(ctx context.Context, walls Walls) error {
	if told, watched := ctx.Value(wallsKey{}).(func(Walls) error); watched {
		return told(walls)
	}
	return nil
}

// cage is what a server may reach. Everything else is closed to it, and to all its children, for good.
type cage struct {
	program  string   // the only one that runs
	readable []string // folders and files; those that do not exist are left out
	writable []string // folders
	port     int      // to listen on; 0 for none
	sockets  bool     // its processes make no connections, by whatever way
}

// cage allows what a server needs. The binaries are below prefix/bin, what they load and read below prefix/lib and
// prefix/share, and everything that these rest on belongs to the system and can be read by everybody.
func (c cluster) cage() cage {
	prefix := filepath.Dir(c.in.Dir)
	allowed := cage{
		program:  filepath.Join(c.in.Dir, executable("postgres")),
		readable: append([]string{filepath.Join(prefix, "lib"), filepath.Join(prefix, "share")}, systemFiles...),
		writable: []string{c.data, c.socket},
		sockets:  closesSockets(c.in.Major),
	}
	if c.tcp {
		allowed.port = c.port
	}
	return allowed
}

// confine prepares the cage of a server that wants one.
func (c cluster) confine() (*confinement, error) {
	if !c.confined {
		return &confinement{walls: Walls{Missing: "not confined"}}, nil
	}
	return c.cage().confine(landlockVersion())
}

// any reports whether there is a wall at all; there is none around a program that is nobody's but ours.
func (c *confinement) any() bool { return c != nil && c.walls.Any() }

// systemFiles are what PostgreSQL and its extensions read beside their own: shared libraries, time zones, dictionaries,
// locales.
var systemFiles = []string{
	"/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib",
	"/usr/share", "/nix/store",
	"/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies",
	"/var/cache/postgresql",
}

// cageSettings are those without which a caged server does not work: POSIX shared memory is in a folder of the whole
// machine.
var cageSettings = map[string]string{"dynamic_shared_memory_type": "mmap"}
