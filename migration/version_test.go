package migration

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestVersionsCompareAsNumbers(t *testing.T) {
	t.Parallel()
	ordered := []Version{
		"0", "0.1", "1", "1.0.1", "1.2", "1.10", "001_b.sql", "1-a-b.sql", "1-a.sql", "1.", "1..2", "1_a.sql", "1a",
		"2", "2_b.sql", "10", "10_a.sql", "0011", "2016-10-12-1-a.sql", "2016-10-12-2-b.sql",
		"20240115120000", "20240115120000.1", "9223372036854775807", "9999999999999999999",
		"123456789012345678901234567890", "", "-1", "V1", "abc",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := min(max(i-j, -1), 1)
			require.Equal(t, want, a.Compare(b), "%q and %q", a, b)
			require.Equal(t, want == 0, a.Equal(b), "%q and %q", a, b)
		}
	}
}

func TestLeadingZerosMakeNoOtherVersion(t *testing.T) {
	t.Parallel()
	for version, canonical := range map[Version]Version{
		"0001": "1", "1": "1", "000": "0", "0": "0", "": "", "0x1": "0x1", "00100": "100",
		"1.0": "1", "1.02.0.0": "1.2", "0.0": "0", "0.10": "0.10", "1.": "1.",
	} {
		require.Equal(t, canonical, version.Canonical())
		require.True(t, version.Equal(canonical))
		require.Zero(t, version.Compare(canonical))
	}
}

func TestComparisonOfVersionsAgreesWithBigNumbersAndSorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`0{0,3}[0-9]{1,25}`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		require.Equal(t, x.Cmp(y), Version(a).Compare(Version(b)))
		require.Equal(t, x.Cmp(y) == 0, Version(a).Canonical() == Version(b).Canonical())

		anything := rapid.SliceOf(rapid.OneOf(rapid.StringN(0, 5, 10), number))
		var versions []Version
		for _, text := range anything.Draw(t, "versions") {
			versions = append(versions, Version(text))
		}
		slices.SortFunc(versions, Version.Compare)
		for i := range versions {
			for j := range i {
				require.LessOrEqual(t, versions[j].Compare(versions[i]), 0, "order is total")
				require.Equal(t, -versions[j].Compare(versions[i]), versions[i].Compare(versions[j]))
			}
		}
	})
}

func ExampleVersion_Compare() {
	fmt.Println(Version("0009").Compare("10"), Version("0010").Compare("10"))
	// Output: -1 0
}
