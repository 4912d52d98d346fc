package devdb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// initdbArguments make the same cluster on every machine: UTF-8, byte order, one superuser who needs a password over
// TCP and none on the socket, whose folder is closed to others.
var initdbArguments = []string{"-U", superuser, "-E", "UTF8", "--locale=C", "--auth-local=trust",
	"--auth-host=scram-sha-256"}

// superuser is the name under which everybody connects.
const superuser = "postgres"

// initdb creates a data folder; see https://www.postgresql.org/docs/current/app-initdb.html. The folder's parent must
// exist.
func initdb(ctx context.Context, in installation, data, password string, extra ...string) error {
	if err := in.account.makeFolder(data); err != nil {
		return err
	}
	secret := data + ".password"
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(secret) }()
	if err := in.account.own(secret); err != nil {
		return err
	}
	arguments := append([]string{"-D", data, "--pwfile", secret}, initdbArguments...)
	command := exec.CommandContext(ctx, filepath.Join(in.Dir, executable("initdb")), append(arguments, extra...)...)
	command.Dir, command.Env = rootDir(), environment()
	command.SysProcAttr = in.account.attributes(bound)
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	program, err := launch(command, bound, nil)
	if err == nil {
		<-program.done
		err = program.err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("creating a data folder: %w", ctx.Err())
	case err != nil:
		what := fmt.Sprintf("creating a data folder with initdb of PostgreSQL %s%s", in.Version, in.account.describe())
		return failed("initdb", what, fmt.Errorf("%w%s", err, quoted(output.String())))
	}
	return nil
}

// template is a data folder in the cache, made once for each set of binaries, from which throw-away servers are copied:
// that takes a tenth of initdb's time. Beside the data it holds the superuser's password.
type template struct {
	cache  string
	folder string // in the cache
	in     installation
}

// templateArguments keep the template small: with segments of 1 MB it is 29 MB instead of 39 MB to be copied for each
// server.
var templateArguments = []string{"--no-sync", "--wal-segsize=1"}

// newTemplate names the template: everything that has an influence on its content is in the name.
func newTemplate(cache string, in installation) (template, error) {
	info, err := os.Stat(filepath.Join(in.Dir, executable("postgres")))
	if err != nil {
		return template{}, err
	}
	key := fmt.Sprint("2", in.Dir, in.Version, info.Size(), info.ModTime().UnixNano(), initdbArguments, templateArguments)
	name := fmt.Sprintf("%s-%.8x", in.Version, sha256.Sum256([]byte(key)))
	return template{cache, filepath.Join(cache, "templates", name), in}, nil
}

// fill makes data a fresh data folder and gives its superuser's password. The first one of all processes runs initdb
// and keeps the result; the others wait for it.
func (t template) fill(ctx context.Context, data string, progress func(string)) (password string, err error) {
	if !t.ready() {
		if err := t.prepare(ctx, data, progress); err != nil {
			return "", err
		}
	}
	content, err := os.ReadFile(filepath.Join(t.folder, "password"))
	if err != nil {
		return "", err
	}
	kept, err := os.ReadFile(filepath.Join(t.folder, sumFile))
	if err != nil {
		return "", err
	}
	sum, err := copyTree(ctx, filepath.Join(t.folder, "data"), data, t.in.account)
	if err == nil && sum != string(kept) {
		err = fmt.Errorf("%w: %s", errChanged, t.folder)
	}
	return string(content), err
}

// sumFile holds the sum of the template's data: what a server is made from is what was kept.
const sumFile = "sha256"

// errChanged: somebody has written into a template.
var errChanged = errors.New("the template of the throw-away servers was changed after it was made; remove it, and " +
	"find out by whom")

func (t template) ready() bool {
	_, err := os.Stat(t.folder)
	return err == nil
}

// prepare creates the template under another name and renames it when it is whole. The cluster is made beside data,
// where the account may write.
func (t template) prepare(ctx context.Context, data string, progress func(string)) error {
	if _, err := makeShared(t.cache, "templates"); err != nil {
		return fmt.Errorf("creating the template of PostgreSQL %s: %w", t.in.Version, err)
	}
	held, err := waitLock(ctx, t.folder+".lock")
	if err != nil {
		return err
	}
	defer held.release()
	if t.ready() {
		return nil
	}
	progress(fmt.Sprintf("creating the template of PostgreSQL %s, once", t.in.Version))
	unfinished := t.folder + ".new"
	original := data + ".original"
	password := newPassword()
	err = errors.Join(
		os.RemoveAll(unfinished),
		os.Mkdir(unfinished, 0o700),
		initdb(ctx, t.in, original, password, templateArguments...),
	)
	if err != nil {
		return err
	}
	sum, err := copyTree(ctx, original, filepath.Join(unfinished, "data"), account{})
	err = errors.Join(err,
		os.WriteFile(filepath.Join(unfinished, "password"), []byte(password), 0o600),
		os.WriteFile(filepath.Join(unfinished, sumFile), []byte(sum), 0o600),
		os.RemoveAll(original),
	)
	if err != nil {
		return fmt.Errorf("keeping the template of PostgreSQL %s: %w", t.in.Version, err)
	}
	return os.Rename(unfinished, t.folder)
}

// copyWorkers copy at once; more do not help, since the kernel does nearly all of the work.
const copyWorkers = 4

// copyBuffer holds nearly every file of a fresh cluster as a whole.
const copyBuffer = 256 << 10

// copyTree copies folders and files, gives the copy to the account, and returns the sum of what it has copied: of all
// names and contents.
func copyTree(ctx context.Context, from, to string, owner account) (sum string, err error) {
	root, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	work := copying{from: from, root: root, to: filepath.Base(to), owner: owner, sums: map[string]string{}}
	if err := work.run(ctx); err != nil {
		return "", err
	}
	return work.sum(), nil
}

// copying is one copyTree at work.
type copying struct {
	from  string
	root  *os.Root // no link below it leads out
	to    string   // in root
	owner account

	mutex sync.Mutex
	sums  map[string]string // of files, by name
}

func (c *copying) run(ctx context.Context) error {
	files := make(chan string)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for range copyWorkers {
		workers.Go(func() {
			buffer := make([]byte, copyBuffer)
			for name := range files {
				if err := c.file(name, buffer); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	err := filepath.WalkDir(c.from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return c.owner.makeFolderIn(c.root, filepath.Join(c.to, name))
		}
		select {
		case files <- name:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(files)
	workers.Wait()
	return cmp.Or(err, context.Cause(ctx))
}

// file copies through the buffer. io.Copy alone would first try the kernel's ways to copy between files, which do not
// work from a disk to memory: for a thousand small files these attempts are a third of the time.
func (c *copying) file(name string, buffer []byte) (err error) {
	source, err := os.Open(filepath.Join(c.from, name))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := c.root.OpenFile(filepath.Join(c.to, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(target, hash), struct{ io.Reader }{source}, buffer); err != nil {
		return err
	}
	c.mutex.Lock()
	c.sums[filepath.ToSlash(name)] = string(hash.Sum(nil))
	c.mutex.Unlock()
	if !c.owner.changesOwner() {
		return nil
	}
	return target.Chown(c.owner.uid, c.owner.gid)
}

func (c *copying) sum() string {
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(c.sums)) {
		_, _ = fmt.Fprintf(all, "%q %x\n", name, c.sums[name])
	}
	return hex.EncodeToString(all.Sum(nil))
}
