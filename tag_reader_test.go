package whimbrel

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// Whatever pieces the answers come in, each tag is heard once and nothing of them is changed.
func TestTheTagsOfCompletedStatementsAreHeard(t *testing.T) {
	t.Parallel()
	var sent []byte
	for _, m := range []pgproto3.BackendMessage{
		&pgproto3.ParseComplete{},
		&pgproto3.DataRow{Values: [][]byte{[]byte("C\x00\x00\x00\x0bUPDATE 9"), nil}},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
		&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 3")},
		&pgproto3.NoticeResponse{Message: "CREATE"},
		&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 12")},
		&pgproto3.ReadyForQuery{TxStatus: 'I'},
	} {
		var err error
		sent, err = m.Encode(sent)
		require.NoError(t, err)
	}
	for name, pieces := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"by halves":    iotest.HalfReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var heard []string
			reader := &tagReader{
				from:      pieces(bytes.NewReader(sent)),
				completed: func(tag string) { heard = append(heard, tag) },
			}
			got, err := io.ReadAll(reader)
			require.NoError(t, err)
			require.Equal(t, sent, got)
			require.Equal(t, []string{"SELECT 1", "INSERT 0 3", "UPDATE 12"}, heard)
		})
	}
}

func FuzzTagReader(f *testing.F) {
	f.Add([]byte("C\x00\x00\x00\x0bUPDATE 9"), 3)
	f.Add([]byte("C\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		reader := &tagReader{from: bytes.NewReader(sent), completed: func(string) {}}
		var got []byte
		buffer := make([]byte, max(1, size%64))
		for {
			n, err := reader.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				break
			}
		}
		require.Equal(t, fmt.Sprintf("%q", sent), fmt.Sprintf("%q", got))
	})
}
