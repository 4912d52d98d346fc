package whimbrel

import (
	"encoding/binary"
	"io"
	"strings"
)

// tagReader passes on what the server sends and picks out the tag of each statement
// that it has completed: what a script or a function runs is seen nowhere else, and of
// several statements in one text the driver tells only the last. It relies on the
// framing of protocol 3: a type, a length that counts itself, and the body; see
// https://www.postgresql.org/docs/current/protocol-message-formats.html.
type tagReader struct {
	from      io.Reader
	completed func(tag string)

	header [5]byte
	filled int    // of the header
	rest   int    // of the body
	tag    []byte // of a CommandComplete, as far as it has come
}

// Read implements io.Reader.
func (t *tagReader) Read(into []byte) (int, error) {
	n, err := t.from.Read(into)
	for unread := into[:n]; len(unread) > 0; {
		unread = t.take(unread)
	}
	return n, err
}

// take reads what is left of a header or of a body, and returns what comes after it.
func (t *tagReader) take(unread []byte) []byte {
	if t.rest == 0 {
		copied := copy(t.header[t.filled:], unread)
		if t.filled += copied; t.filled == len(t.header) {
			t.filled, t.rest = 0, max(int(binary.BigEndian.Uint32(t.header[1:]))-4, 0)
		}
		return unread[copied:]
	}
	body := unread[:min(t.rest, len(unread))]
	t.rest -= len(body)
	if t.header[0] == 'C' {
		t.tag = append(t.tag, body...)
		if t.rest == 0 {
			t.completed(strings.TrimSuffix(string(t.tag), "\x00"))
			t.tag = t.tag[:0]
		}
	}
	return unread[len(body):]
}
