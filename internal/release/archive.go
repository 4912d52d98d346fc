package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// file is one of an archive.
type file struct {
	name       string // with slashes
	text       []byte
	executable bool
}

func (f file) mode() fs.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// below gives files in a folder.
func below(folder string, files []file) []file {
	files = slices.Clone(files)
	for i := range files {
		files[i].name = path.Join(folder, files[i].name)
	}
	return files
}

// tarGz packs files, in the order of their names, with the folders that they are in.
// The same files and date give the same bytes: everything belongs to root and is of
// that date.
func tarGz(files []file, date time.Time) ([]byte, error) { return packTar("", files, date) }

// packTar is tarGz with something before each name.
func packTar(before string, files []file, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range append(foldersOf(files), sorted(files)...) {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(f.name, "/") {
			kind = tar.TypeDir
		}
		if err := w.WriteHeader(&tar.Header{
			Typeflag: kind, Name: before + f.name, Size: int64(len(f.text)), Mode: int64(f.mode()), ModTime: date,
			Uname: "root", Gname: "root", Format: tar.FormatGNU,
		}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return gzipped(b.Bytes())
}

// zipped packs files for Windows; it promises what tarGz does.
func zipped(files []file, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range sorted(files) {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: date.UTC()}
		header.SetMode(f.mode())
		to, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(f.text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// gzipped compresses one text, with neither name nor date.
func gzipped(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func sorted(files []file) []file {
	return slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
}

// foldersOf gives all folders that files are in, the outer ones first.
func foldersOf(files []file) []file {
	folders := map[string]file{}
	for _, f := range files {
		for folder := path.Dir(f.name); folder != "."; folder = path.Dir(folder) {
			folders[folder] = file{name: folder + "/", executable: true}
		}
	}
	return sorted(slices.Collect(maps.Values(folders)))
}
