package digest_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/digest"
)

func TestTextsOfEverySizeHaveTheirSum(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1023, 1024, 1025, 32<<10 - 1, 32 << 10, 32<<10 + 1, 200_000} {
		text := strings.Repeat("ünï", size/5+1)[:size]
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(text))), digest.SHA256(text), "%d bytes", size)
		sum := sha256.New()
		digest.Write(sum, text, "", "x", text)
		require.Equal(t, sha256.Sum256([]byte(text+"x"+text)), [sha256.Size]byte(sum.Sum(nil)), "%d bytes", size)
	}
}
