package pgsql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PositionAt gives line and column of an offset in bytes. An offset outside
// the text is taken for the nearest one inside. A byte-order mark at the start
// of the text is no column, since no editor shows it.
func PositionAt(text string, offset int) Position {
	place := Position{Line: 1, Column: 1}
	place.advance(text, min(max(offset, 0), len(text)))
	return place
}

// OffsetOfCharacter gives the offset in bytes of a character, counting from 1
// as PostgreSQL does in the positions of its errors. A number before the text
// gives its start, one behind it its end.
func OffsetOfCharacter(text string, character int) int {
	for offset := range text {
		if character <= 1 {
			return offset
		}
		character--
	}
	return len(text)
}

// String gives the position as editors and compilers do: line:column.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// advance moves the position on to a later offset. Its cost is the distance,
// so that a walk through all positions of a text is linear in the text.
func (p *Position) advance(text string, offset int) {
	if offset <= p.Offset {
		return
	}
	passed := text[p.Offset:offset]
	if p.Offset == 0 {
		passed = strings.TrimPrefix(passed, byteOrderMark)
	}
	p.pass(passed)
	p.Offset = offset
}

// pass moves the position on behind a text that begins at it.
func (p *Position) pass(text string) {
	p.Offset += len(text)
	if lines := strings.Count(text, "\n"); lines > 0 {
		p.Line += lines
		p.Column = 1
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	p.Column += utf8.RuneCountInString(text)
}
