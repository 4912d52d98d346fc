// Package digest hashes texts without a copy of them in memory.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// SHA256 is the SHA-256 of a text, in lower-case hexadecimal digits.
func SHA256(text string) string {
	if len(text) <= small { // as most texts are, and there are many
		var room [small]byte
		return digits(sha256.Sum256(append(room[:0], text...)))
	}
	sum := sha256.New()
	Write(sum, text)
	return hex.EncodeToString(sum.Sum(nil))
}

// Write adds texts to a hash, piece by piece.
func Write(to hash.Hash, texts ...string) {
	room := make([]byte, 0, 32<<10)
	for _, text := range texts {
		for len(text) > 0 {
			n := min(len(text), cap(room))
			_, _ = to.Write(append(room[:0], text[:n]...)) // which never fails; see hash.Hash
			text = text[n:]
		}
	}
}

const small = 1024

func digits(sum [sha256.Size]byte) string {
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}
