package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
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

func (f file) mode() int64 {
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
	compressed, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(compressed)
	for _, folder := range foldersOf(files) {
		if err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: before + folder + "/", Mode: 0o755, ModTime: date, Uname: "root", Gname: "root",
			Format: tar.FormatGNU,
		}); err != nil {
			return nil, err
		}
	}
	for _, f := range sorted(files) {
		if err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: before + f.name, Size: int64(len(f.text)), Mode: f.mode(), ModTime: date,
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
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// zipped packs files for Windows; it promises what tarGz does.
func zipped(files []file, date time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range sorted(files) {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: date.UTC()}
		header.SetMode(0o644)
		if f.executable {
			header.SetMode(0o755)
		}
		to, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(f.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// gzipped compresses one text, with neither name nor date.
func gzipped(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func sorted(files []file) []file {
	return slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
}

// foldersOf gives all folders that files are in, the outer ones first.
func foldersOf(files []file) []string {
	var folders []string
	for _, f := range files {
		for folder := path.Dir(f.name); folder != "."; folder = path.Dir(folder) {
			if !slices.Contains(folders, folder) {
				folders = append(folders, folder)
			}
		}
	}
	slices.Sort(folders)
	return folders
}
