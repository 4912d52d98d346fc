// Package js runs migrations that are written in JavaScript or TypeScript, in
// process and without Node.js. Their client behaves as that of Node's package
// pg does: the same values per column type, the same results, the same errors.
//
// A script sees the database, the console, the clock and what lies beside it in
// its folder: no file system, no network, and of the environment only what is
// allowed. How long it may compute and how much memory it may take is limited.
package js

import (
	"context"
	_ "embed" // for what is written in JavaScript and TypeScript
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Declarations are the types of what a script gets, for editors: the text of a
// file whimbrel.d.ts that lies beside the migrations.
//
//go:embed whimbrel.d.ts
var Declarations string

// Options are what scripts may do.
type Options struct {
	// Environment names the variables of the environment that scripts may
	// read. They do not see that there are others.
	Environment []string
	// Memory is how many bytes a script may hold, 256 MiB where it is 0. It is
	// the growth of the whole process's heap that is compared with it, since
	// nothing else can be measured.
	Memory int64
	// Compute is how long a script may compute between two questions to the
	// database, 1 minute where it is 0.
	Compute time.Duration
}

const (
	defaultMemory  = 256 << 20
	defaultCompute = time.Minute
)

// Runtime compiles scripts. It may be used concurrently, and costs nothing
// before it is asked for the first script.
type Runtime struct {
	options Options
}

var _ whimbrel.Runtime = (*Runtime)(nil)

// New makes a Runtime.
func New(options Options) *Runtime {
	if options.Memory <= 0 {
		options.Memory = defaultMemory
	}
	if options.Compute <= 0 {
		options.Compute = defaultCompute
	}
	return &Runtime{options: options}
}

// Compile implements whimbrel.Runtime. It runs the top level of the script,
// without a database, to see what it exports; what it prints then is dropped,
// as each Run prints it again.
func (r *Runtime) Compile(ctx context.Context, m migration.Migration) (whimbrel.Script, error) {
	if err := knownClient(m); err != nil {
		return nil, err
	}
	b, err := bundleOf(m)
	if err != nil {
		return nil, err
	}
	s := &script{options: r.options, bundle: b, tags: m.Tags, isFile: m.Checksum != ""}
	if err := s.inspect(ctx); err != nil {
		return nil, err
	}
	return s, nil
}
