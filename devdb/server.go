package devdb

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
)

// Options says what kind of throw-away server is wanted. The zero value is right for most tests.
type Options struct {
	Major    int                  // 0 = any; see FindOptions
	Settings map[string]string    // server settings, which win over the ones chosen here
	Durable  bool                 // PostgreSQL's own settings, on a disk: as slow and as safe as a server in production
	TCP      bool                 // also listen on a free port of 127.0.0.1; see TCPURL
	Progress func(message string) // told about work that takes seconds; may be nil
	// Environment are variables that its processes see beside the few that every server sees; those win. None of this
	// process's own get there by themselves.
	Environment map[string]string
	// Confinement is what the server's processes may reach of the machine: nothing, unless it says Unconfined.
	Confinement Confinement
}

// fastSettings trade what a throw-away server does not need, to survive a crash of the machine, for speed. It does
// survive a crash of its own: synchronous_commit stays on, which without fsync costs next to nothing, so that a commit
// that was confirmed is never lost by Restart. WAL is minimal: who wants a replica or logical decoding sets wal_level.
var fastSettings = map[string]string{
	"fsync":            "off",
	"full_page_writes": "off",
	"wal_level":        "minimal",
	"max_wal_senders":  "0",
	"shared_buffers":   "32MB",
	"jit":              "off",
	"autovacuum":       "off",
}

// commonSettings are for every throw-away server.
var commonSettings = map[string]string{
	"max_connections":  "200", // tests run many sessions at once
	"log_min_messages": "warning",
}

// Server is a throw-away server. All its methods may be called concurrently.
type Server struct {
	scratch *scratch
	cluster cluster

	mutex   sync.Mutex // held while the server is started or stopped
	process *process
	stopped bool
	made    []string        // databases on a server that is lent
	roles   map[string]bool // that it had
	created []string        // roles, on a server that is lent
}

// Start starts a throw-away server and returns when it answers queries. The server ends with this process, whatever
// happens to it; Stop ends it earlier. Its files are removed by Stop, and if that was never called by a later Start of
// any process of the same user. ctx is for the start only. What runs in the server is confined, as far as the system
// can: see Options.Confinement and WatchWalls. With a context of Lend it may give a server that is somebody else's.
func Start(ctx context.Context, options Options) (*Server, error) {
	if lent, err := lentBy(ctx); lent != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return Borrow(ctx, lent)
	}
	progress := options.Progress
	if progress == nil {
		progress = func(string) {}
	}
	in, err := locate(ctx, FindOptions{Major: options.Major, Progress: options.Progress})
	if err != nil {
		return nil, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(cache, in)
	if err != nil {
		return nil, err
	}
	scratch, err := newScratch(ctx, in.Binaries, in.account, !options.Durable)
	if err != nil {
		return nil, err
	}
	s := &Server{scratch: scratch, cluster: scratch.cluster(in, options)}
	if err := s.create(ctx, template, options, progress); err != nil {
		return nil, errors.Join(err, scratch.remove())
	}
	if err := tellOfWalls(ctx, s.process.walls); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// cluster lays out the folder of a throw-away server. Names are short, because the path of a socket must be.
func (s *scratch) cluster(in installation, options Options) cluster {
	return cluster{
		in:      in,
		data:    filepath.Join(s.path, "data"),
		socket:  filepath.Join(s.path, "s"),
		logFile: filepath.Join(s.path, "log"),
		port:    socketPort,
		tcp:     options.TCP || !hasSockets,

		environment: options.Environment,

		volatile: !options.Durable,
		confined: options.Confinement == Confined,
	}
}

// create fills the data folder and starts the server for the first time.
func (s *Server) create(ctx context.Context, template template, options Options, progress func(string)) error {
	c := &s.cluster
	if err := c.in.account.makeFolder(c.socket); err != nil {
		return err
	}
	password, err := template.fill(ctx, c.data, progress)
	if err != nil {
		return err
	}
	c.password = password
	if err := c.configure(settings(options)); err != nil {
		return err
	}
	for range portAttempts {
		if c.tcp {
			if c.port, err = freePort(); err != nil {
				return err
			}
		}
		s.process, err = c.start(ctx, bound)
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	return err
}

// portAttempts is how many free ports may be lost to other programs between choosing and using them.
const portAttempts = 5

func settings(options Options) map[string]string {
	all := maps.Clone(commonSettings)
	if !options.Durable {
		maps.Copy(all, fastSettings)
		if level, set := options.Settings["wal_level"]; set && level != "minimal" {
			delete(all, "max_wal_senders") // zero senders would make the level useless
		}
	}
	maps.Copy(all, options.Settings)
	if options.Confinement == Confined {
		maps.Copy(all, cageSettings)
	}
	return all
}

// URL gives the connection string of a database, for pgx, psql and everything else that is built on libpq. It stays the
// same for the server's whole life, restarts included. On Windows it is TCPURL.
func (s *Server) URL(database string) string { return s.cluster.url(database) }

// TCPURL gives the connection string of a database over TCP, with the password that this needs, if the server was
// started with Options.TCP.
func (s *Server) TCPURL(database string) string { return s.cluster.tcpURL(database) }

// Version says which binaries the server runs.
func (s *Server) Version() Binaries { return s.cluster.in.Binaries }

// DataDir is the server's data folder.
func (s *Server) DataDir() string { return s.cluster.data }

// SocketDir is the folder of the server's Unix socket, which can be given to libpq as the host.
func (s *Server) SocketDir() string { return s.cluster.socket }

// Walls says what keeps the server's processes, and thereby what runs in it, from the machine.
func (s *Server) Walls() Walls {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.Lent() {
		return Walls{Missing: s.cluster.lent.Missing}
	}
	if s.process == nil {
		return Walls{Missing: "the server was never started"}
	}
	return s.process.walls
}

// LogFile is where the server writes its messages. It is removed by Stop.
func (s *Server) LogFile() string { return s.cluster.logFile }

// Port is the port of the socket, and of TCP if the server listens there.
func (s *Server) Port() int { return s.cluster.port }

// PID is the number of the server's main process; 0 when it does not run.
func (s *Server) PID() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.process == nil || s.process.ended() {
		return 0
	}
	return s.process.pid
}

// Stop ends the server with all its sessions and removes its files. It may be called more than once.
func (s *Server) Stop() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopped {
		return nil
	}
	if s.Lent() {
		s.stopped = true
		return s.giveBack()
	}
	if err := s.halt(context.Background(), fast); err != nil {
		return err
	}
	s.stopped = true
	return s.scratch.remove()
}

// Restart stops the server and starts it again on the same data and the same URL. An immediate restart is a crash: the
// sessions end without a word, and the server recovers what was committed. A server that has died is just started.
func (s *Server) Restart(ctx context.Context, immediately bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopped {
		return errors.New("restarting the PostgreSQL server: it was stopped, and its files are gone")
	}
	if s.Lent() {
		return errors.New("restarting the PostgreSQL server: it is somebody else's")
	}
	mode := fast
	if immediately {
		mode = immediate
	}
	if err := s.halt(ctx, mode); err != nil {
		return err
	}
	process, err := s.cluster.start(ctx, bound)
	if err != nil {
		return err
	}
	s.process = process
	return nil
}

func (s *Server) halt(ctx context.Context, mode shutdown) error {
	if s.process == nil || s.process.ended() {
		return nil
	}
	return stopProcess(ctx, s.cluster.in.Binaries, s.process.pid, mode, s.process.ended)
}
