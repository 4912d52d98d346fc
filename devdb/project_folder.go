package devdb

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// folder is where a project's development server is at home: the lock, the state, and usually the data.
type folder struct{ path string }

// state is what commands need to know about the development server. It is kept in a file that only the user can read,
// since it holds the password; see folder.save.
type state struct {
	Folder   string `json:"folder"`         // where the file was written: a copied or moved project has another one
	Home     string `json:"home"`           // the folder of the data: Folder, or one in the cache
	Note     string `json:"note,omitempty"` // why Home is not Folder
	Socket   string `json:"socket"`
	Major    int    `json:"major"`
	Version  string `json:"version"`
	Binaries string `json:"binaries"`
	Port     int    `json:"port"`
	Password string `json:"password"`
	Prepared bool   `json:"prepared"` // it has once answered, and has its first database
}

func (s state) cluster() cluster {
	root := majorFolder(s.Home, s.Major)
	return cluster{
		in:       installation{Binaries: Binaries{Dir: s.Binaries, Version: s.Version, Major: s.Major}},
		data:     filepath.Join(root, "data"),
		socket:   s.Socket,
		logFile:  filepath.Join(root, "server.log"),
		port:     s.Port,
		tcp:      true,
		password: s.Password,
	}
}

// openFolder finds the folder; it need not exist.
func openFolder(path string) (folder, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return folder{}, err
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		absolute = real
	}
	return folder{filepath.Join(absolute, "postgres")}, nil
}

// createFolder makes the folder, which git is told to leave alone.
func createFolder(path string) (folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return folder{}, err
	}
	home, err := openFolder(path)
	if err != nil {
		return folder{}, err
	}
	if err := os.Mkdir(home.path, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return home, nil
		}
		return folder{}, err
	}
	return home, os.WriteFile(filepath.Join(home.path, ".gitignore"), []byte("*\n"), 0o644)
}

func (f folder) stateFile() string { return filepath.Join(f.path, "server.json") }

// load reads the state. os.ErrNotExist says that the server was never started here.
func (f folder) load() (state, error) {
	content, err := os.ReadFile(f.stateFile())
	if err != nil {
		return state{}, err
	}
	var loaded state
	if err := json.Unmarshal(content, &loaded); err != nil {
		return state{}, fmt.Errorf("reading %s: %w; stop the server if it runs, and remove the file: it is recreated at "+
			"the next start", f.stateFile(), err)
	}
	if loaded.Folder == f.path {
		return loaded, nil
	}
	if loaded.Home != loaded.Folder { // the data in the cache is that of the project at the other place
		return state{}, fmt.Errorf("%s comes from another place: %w", f.stateFile(), os.ErrNotExist)
	}
	loaded.Folder, loaded.Home = f.path, f.path
	return loaded, nil
}

// save replaces the file as a whole, so that nobody ever reads half of it.
func (f folder) save(s state) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	unfinished := f.stateFile() + ".new"
	if err := os.WriteFile(unfinished, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, f.stateFile())
}

// homes lists where data of the project can be: its own folder, and the one in the cache.
func (f folder) homes() []string {
	list := []string{f.path}
	if cache, err := cacheFolder(); err == nil {
		list = append(list, filepath.Join(cache, "projects", f.key()))
	}
	return list
}

// versions lists the folders of all major versions, with or without a state that names them.
func (f folder) versions() []string {
	var list []string
	for _, home := range f.homes() {
		entries, err := os.ReadDir(home)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if _, err := strconv.Atoi(entry.Name()); err == nil {
				list = append(list, filepath.Join(home, entry.Name()))
			}
		}
	}
	return list
}

// dataMajor is the major version of the data that is there, which a newer server on the machine must not change; 0 when
// there is none.
func (f folder) dataMajor(s state) int {
	newest := 0
	for _, path := range f.versions() {
		major, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(path, "data")); err != nil {
			continue
		}
		if major == s.Major {
			return major
		}
		newest = max(newest, major)
	}
	return newest
}

// place decides where everything of a server lies that is about to be started, and creates the folders. Port and
// password stay what they were.
func (f folder) place(s state, in installation) (state, error) {
	s.Folder, s.Home, s.Note = f.path, f.path, ""
	s.Major, s.Version, s.Binaries = in.Major, in.Version, in.Dir
	if s.Password == "" {
		s.Password = newPassword()
	}
	version := majorFolder("", s.Major)
	if in.account.canReach(f.path) {
		if _, err := makeShared(f.path, version); err != nil {
			return s, err
		}
	} else {
		cache, err := cacheFolder()
		if err != nil {
			return s, err
		}
		if s.Home, err = makeShared(cache, "projects", f.key()); err != nil {
			return s, err
		}
		if _, err := makeShared(s.Home, version); err != nil {
			return s, err
		}
		if !in.account.canReach(s.Home) {
			return s, fmt.Errorf("the account %s, which runs the server, can enter neither %s nor %s; open one of them to it "+
				"(chmod o+x), set %s to a folder that it can enter, or run this as a normal user",
				in.account.name, f.path, s.Home, cacheVariable)
		}
		s.Note = fmt.Sprintf("the data is in %s, because the account %s, which runs the server, cannot enter %s", s.Home,
			in.account.name, f.path)
	}
	return f.placeSocket(s)
}

// placeSocket puts the socket beside the data if its path is then short enough for every port.
func (f folder) placeSocket(s state) (state, error) {
	s.Socket = filepath.Join(s.Home, "s")
	longest := cluster{socket: s.Socket, port: 65535}
	if longest.checkSocket() == nil {
		return s, nil
	}
	short := filepath.Join(rootTemporary, privateName())
	if err := privateFolder(short); err != nil {
		return s, fmt.Errorf("the path of %s is too long for a socket, and there is no other place: %w", s.Socket, err)
	}
	s.Socket = filepath.Join(short, f.key())
	return s, nil
}

// key names the project by its place.
func (f folder) key() string { return fmt.Sprintf("%.6x", sha256.Sum256([]byte(f.path))) }

// removeData removes the data of all major versions.
func (f folder) removeData() error {
	for _, path := range f.versions() {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}
