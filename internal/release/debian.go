package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"path"
	"strings"
	"time"
)

// The form of a package is that of deb(5): an archive of ar(5), which holds the
// version of the form, the control files and the data.

// debianVersion is a version as dpkg compares them: v0.1.0-rc.1 comes before v0.1.0.
func debianVersion(version string) string {
	return strings.Replace(strings.TrimPrefix(version, "v"), "-", "~", 1)
}

// debianPackage makes the package of the files of a release. The same files, version
// and date give the same bytes.
func debianPackage(files []file, version, architecture string, date time.Time) ([]byte, error) {
	placed, err := debianPlaces(files)
	if err != nil {
		return nil, err
	}
	size, sums := 0, ""
	for _, f := range sorted(placed) {
		size += (len(f.text) + 1023) / 1024
		sums += fmt.Sprintf("%x  %s\n", md5.Sum(f.text), f.name) // what dpkg verifies with
	}
	control := fmt.Sprintf(`Package: whimbrel
Version: %s
Architecture: %s
Maintainer: The whimbrel developers <maintainers@whimbrel.example>
Installed-Size: %d
Recommends: ca-certificates
Suggests: postgresql, postgresql-client
Section: database
Priority: optional
Homepage: https://github.com/whimbrel-db/whimbrel
Description: migrations for PostgreSQL that live traffic does not notice
 whimbrel migrates PostgreSQL databases: exactly once, one runner at a time,
 without stalling live traffic, with proved down migrations.
`, debianVersion(version), architecture, size)
	controls, err := packTar("./", []file{{name: "control", text: []byte(control)},
		{name: "md5sums", text: []byte(sums)}}, date)
	if err != nil {
		return nil, err
	}
	data, err := packTar("./", placed, date)
	if err != nil {
		return nil, err
	}
	return arArchive([]file{
		{name: "debian-binary", text: []byte("2.0\n")}, {name: "control.tar.gz", text: controls}, {name: "data.tar.gz",
			text: data},
	}, date), nil
}

// debianPlaces gives the files of a release their places on Debian.
func debianPlaces(files []file) ([]file, error) {
	completions := map[string]string{
		"whimbrel.bash": "usr/share/bash-completion/completions/whimbrel",
		"_whimbrel":     "usr/share/zsh/vendor-completions/_whimbrel",
		"whimbrel.fish": "usr/share/fish/vendor_completions.d/whimbrel.fish",
	}
	var placed []file
	for _, f := range files {
		base := path.Base(f.name)
		switch {
		case f.executable:
			f.name = "usr/bin/" + base
		case path.Dir(f.name) == "completions":
			if f.name = completions[base]; f.name == "" {
				continue // a shell that Debian does not have
			}
		case base == "LICENSE":
			f.name = "usr/share/doc/whimbrel/copyright"
		case strings.HasPrefix(f.name, "man/"), base == "CHANGELOG.md":
			f.name = "usr/share/" + f.name + ".gz"
			if base == "CHANGELOG.md" {
				f.name = "usr/share/doc/whimbrel/changelog.gz"
			}
			var err error
			if f.text, err = gzipped(f.text); err != nil {
				return nil, err
			}
		default:
			f.name = "usr/share/doc/whimbrel/" + base
		}
		placed = append(placed, f)
	}
	return placed, nil
}

// arArchive writes the members of an archive of ar(5), in their order.
func arArchive(members []file, date time.Time) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", m.name, date.Unix(), 0, 0, 0o100644, len(m.text))
		b.Write(m.text)
		if len(m.text)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}
