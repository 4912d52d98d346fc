package migration

import (
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

const byteOrderMark = "\uFEFF"

// take gives m a text as everything after this sees it: without a byte-order mark, and
// with LF as line ends, so that a checkout that converts them makes the same migration,
// to the last place in an error and the last byte that the server is sent. What it loses,
// AcceptsChecksum may want to know.
func (m *Migration) take(text string) {
	text = strings.TrimPrefix(text, byteOrderMark)
	m.Text = plaintext.LF(text)
	if len(text) != len(m.Text) && !slices.Contains(plaintext.Variants(m.Text), text) {
		m.mixed = digest.SHA256(text)
		m.mixedMarked = digest.SHA256(byteOrderMark + text)
	}
}

// AcceptsChecksum reports whether a checksum from a history table represents
// this very file. A stored checksum that is empty is unknown, and accepted; so
// is any for a migration that has none itself.
//
// Besides m's own checksum it accepts those that other runners would have
// computed of the same content: the SHA-256 of the file as it is, with LF, with
// CRLF and with CR line ends, each with and without a byte-order mark. For scripts it
// accepts the SHA-256 of the file's name, with and without extension, as well:
// some runners hash that in place of the content, and then there is nothing
// better to compare. Hexadecimal digits may be of either case.
func (m Migration) AcceptsChecksum(stored string) bool {
	stored = strings.ToLower(strings.TrimSpace(stored))
	if stored == "" || m.Checksum == "" || stored == m.Checksum {
		return true
	}
	if stored == m.mixed || stored == m.mixedMarked {
		return true
	}
	for _, text := range append(plaintext.Variants(m.Text), strings.ReplaceAll(m.Text, "\r", "\n")) {
		if stored == digest.SHA256(text) || stored == digest.SHA256(byteOrderMark+text) {
			return true
		}
	}
	if m.Kind != Script {
		return false
	}
	file := path.Base(m.Path)
	return stored == digest.SHA256(file) || stored == digest.SHA256(strings.TrimSuffix(file, path.Ext(file)))
}

// checksum is the rule for Migration.Checksum: the SHA-256, in lower-case
// hexadecimal digits, of the file's bytes after its leading UTF-8 byte-order
// mark (EF BB BF), if any, was removed and every pair CR LF was replaced by LF, and
// every CR where there is no LF in the file.
// A CR within a line, blanks at the ends of lines and the last line's end all count.
// So a checkout that converts line ends does not look like an edited file.
func (m Migration) checksum() string { return digest.SHA256(m.Text) }
