package js

import (
	"errors"
	"strings"
)

// element is a part of a PostgreSQL array: NULL, a text, or an array.
type element struct {
	null     bool
	text     string
	elements []element // not nil for an array, though it may be empty
}

var errArray = errors.New("malformed array literal")

// parseArray reads an array as PostgreSQL writes it, with commas between the
// elements (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).
// Lower bounds other than 1 are passed over.
func parseArray(literal string) (element, error) {
	if strings.HasPrefix(literal, "[") {
		_, rest, found := strings.Cut(literal, "=")
		if !found {
			return element{}, errArray
		}
		literal = rest
	}
	p := arrayParser{rest: literal}
	array, err := p.array(1)
	if err == nil && p.rest != "" {
		err = errArray
	}
	return array, err
}

// maxDimensions is more than PostgreSQL has, which is 6.
const maxDimensions = 16

type arrayParser struct{ rest string }

func (p *arrayParser) array(depth int) (element, error) {
	array := element{elements: []element{}}
	if depth > maxDimensions || !p.skip('{') {
		return array, errArray
	}
	if p.skip('}') {
		return array, nil
	}
	for {
		e, err := p.element(depth)
		if err != nil {
			return array, err
		}
		array.elements = append(array.elements, e)
		if p.skip('}') {
			return array, nil
		}
		if !p.skip(',') {
			return array, errArray
		}
	}
}

func (p *arrayParser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *arrayParser) element(depth int) (element, error) {
	if strings.HasPrefix(p.rest, "{") {
		return p.array(depth + 1)
	}
	if p.skip('"') {
		return p.quoted()
	}
	end := strings.IndexAny(p.rest, `,}{"\`)
	if end <= 0 || strings.IndexByte(`{"\`, p.rest[end]) >= 0 {
		return element{}, errArray
	}
	e := element{text: p.rest[:end]}
	if e.text == "NULL" {
		e = element{null: true}
	}
	p.rest = p.rest[end:]
	return e, nil
}

func (p *arrayParser) quoted() (element, error) {
	var text strings.Builder
	for {
		end := strings.IndexAny(p.rest, `"\`)
		if end < 0 || end == len(p.rest)-1 { // at least the closing brace follows
			return element{}, errArray
		}
		text.WriteString(p.rest[:end])
		if p.rest[end] == '"' {
			p.rest = p.rest[end+1:]
			return element{text: text.String()}, nil
		}
		text.WriteByte(p.rest[end+1])
		p.rest = p.rest[end+2:]
	}
}

var arrayEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// literal writes the element as PostgreSQL reads it.
func (e element) literal() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e element) write(b *strings.Builder) {
	switch {
	case e.null:
		b.WriteString("NULL")
	case e.elements == nil:
		b.WriteByte('"')
		b.WriteString(arrayEscapes.Replace(e.text))
		b.WriteByte('"')
	default:
		b.WriteByte('{')
		for i, inner := range e.elements {
			if i > 0 {
				b.WriteByte(',')
			}
			inner.write(b)
		}
		b.WriteByte('}')
	}
}
