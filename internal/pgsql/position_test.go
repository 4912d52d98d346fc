package pgsql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPositionCountsCharactersInLines(t *testing.T) {
	t.Parallel()
	text := "aé\r\n€\n\nb"
	for offset, want := range map[int]Position{
		-5: {0, 1, 1},
		0:  {0, 1, 1},
		1:  {1, 1, 2},
		3:  {3, 1, 3},  // behind é
		5:  {5, 2, 1},  // behind the line end
		8:  {8, 2, 2},  // behind €
		9:  {9, 3, 1},  // the empty line
		10: {10, 4, 1}, // b
		11: {11, 4, 2}, // the end
		99: {11, 4, 2},
	} {
		require.Equal(t, want, PositionAt(text, offset), "%d", offset)
	}
	require.Equal(t, "4:2", PositionAt(text, 11).String())
}

func TestByteOrderMarkIsNoColumn(t *testing.T) {
	t.Parallel()
	require.Equal(t, Position{0, 1, 1}, PositionAt("\uFEFFa", 0))
	require.Equal(t, Position{3, 1, 1}, PositionAt("\uFEFFa", 3))
	require.Equal(t, Position{4, 1, 2}, PositionAt("\uFEFFa", 4))
	require.Equal(t, Position{5, 2, 2}, PositionAt("\uFEFF\na", 5))
}

func TestOffsetOfCharacterCountsAsPostgreSQLDoes(t *testing.T) {
	t.Parallel()
	for character, want := range map[int]int{-1: 0, 0: 0, 1: 0, 2: 1, 3: 3, 4: 6, 5: 7, 6: 7} {
		require.Equal(t, want, OffsetOfCharacter("aé€b", character), "%d", character)
	}
	require.Zero(t, OffsetOfCharacter("", 1))
	require.Equal(t, 1, OffsetOfCharacter("\xff\xfe", 2))
}
