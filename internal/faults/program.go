package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// elsewhere are folders of programs that are not on everybody's PATH.
var elsewhere = []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"}

// installing keeps two tests of a process from running apt-get at once; apt's
// own lock does the same between processes.
var installing sync.Mutex

// Program gives the path of a program of another project that a test runs, as a pooler
// or a model checker. On Debian-based systems, as root, it installs the package that has
// it where it is missing; elsewhere its error says what to install. It may be called
// concurrently, and may take as long as an installation does.
func Program(ctx context.Context, program, debianPackage string) (string, error) {
	return find(ctx, debianPackage, program, look)
}

// File is Program for a file that is no program, as a library: one that
// matches a pattern of path/filepath.
func File(ctx context.Context, pattern, debianPackage string) (string, error) {
	return find(ctx, debianPackage, pattern, func(pattern string) (string, error) {
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s: %w", pattern, fs.ErrNotExist)
		}
		if err != nil {
			return "", err
		}
		return found[0], nil
	})
}

func find(ctx context.Context, debianPackage, what string, look func(string) (string, error)) (string, error) {
	if found, err := look(what); err == nil {
		return found, nil
	}
	installing.Lock()
	defer installing.Unlock()
	if found, err := look(what); err == nil {
		return found, nil
	}
	if err := install(ctx, debianPackage); err != nil {
		return "", fmt.Errorf("this needs %s, which is not on the machine (Debian: apt-get install %s): %w", what,
			debianPackage, err)
	}
	return look(what)
}

func look(program string) (string, error) {
	if found, err := exec.LookPath(program); err == nil {
		return found, nil
	}
	for _, folder := range elsewhere {
		if found, err := exec.LookPath(filepath.Join(folder, program)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
}

func install(ctx context.Context, debianPackage string) error {
	aptGet, err := exec.LookPath("apt-get")
	if err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("only root may install it")
	}
	// Another process may be installing at this moment: wait for its lock.
	for _, arguments := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends",
		debianPackage}} {
		command := exec.CommandContext(ctx, aptGet, append([]string{"-o", "DPkg::Lock::Timeout=120", "-o",
			"APT::Update::Lock-Timeout=120"}, arguments...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", arguments[0], err, output)
		}
	}
	return nil
}
