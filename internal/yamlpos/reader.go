// Package yamlpos reads YAML so that everything wrong is told with its place, and with
// the key that was probably meant among those of its level.
package yamlpos

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Node is a part of a document.
type Node = ast.Node

// Place is where something is in a file.
type Place struct {
	Path         string
	Line, Column int // 0: the file as a whole
}

// Wrong is an error at the place.
func (p Place) Wrong(remedy, format string, args ...any) error {
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: p.Path, Line: p.Line, Column: p.Column,
		Message: fmt.Sprintf(format, args...), Remedy: remedy,
	}
}

// Reader takes the documents of a file apart and notes what is wrong with them.
type Reader struct {
	Path string
	// Documents are those with something in them.
	Documents []Node

	anchors  map[string]Node
	within   []string // the keys above what is decoded
	merging  int
	problems []error
}

// Parse reads a text; path is only for errors.
func Parse(path string, text []byte) (*Reader, error) {
	r := &Reader{Path: path, anchors: map[string]Node{}}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		place, message := Place{Path: path}, err.Error()
		var positioned yaml.Error
		if errors.As(err, &positioned) && positioned.GetToken() != nil {
			at := positioned.GetToken().Position
			place, message = Place{path, at.Line, at.Column}, positioned.GetMessage()
		}
		return r, place.Wrong("", "%s", message)
	}
	for _, document := range file.Docs {
		switch document.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.DirectiveNode:
			continue
		}
		r.Documents = append(r.Documents, document.Body)
		ast.Walk(r, document.Body)
	}
	return r, nil
}

// Visit implements ast.Visitor, and collects what aliases stand for.
func (r *Reader) Visit(n Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok && anchor.Name.GetToken() != nil {
		r.anchors[anchor.Name.GetToken().Value] = anchor.Value
	}
	return r
}

// Resolve follows an alias to what it stands for, and leaves tags of YAML itself out.
func (r *Reader) Resolve(n Node) Node {
	for range 16 { // an anchor may have an alias of itself in it
		switch node := n.(type) {
		case *ast.AnchorNode:
			n = node.Value
		case *ast.TagNode:
			if name := Written(node); !strings.HasPrefix(name, "!!") || name == "!!binary" {
				return n
			}
			n = node.Value
		case *ast.AliasNode:
			value, ok := r.anchors[node.Value.GetToken().Value]
			if !ok {
				return n
			}
			n = value
		default:
			return n
		}
	}
	return n
}

// Place is where a node is; of a mapping, its first key.
func (r *Reader) Place(n Node) Place {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return Place{Path: r.Path}
	}
	at := n.GetToken().Position
	return Place{r.Path, at.Line, at.Column}
}

// Wrong notes what is wrong at a node.
func (r *Reader) Wrong(n Node, remedy, format string, args ...any) {
	if len(r.within) > 0 {
		format = strings.ReplaceAll(strings.Join(r.within, "."), "%", "%%") + ": " + format
	}
	r.problems = append(r.problems, r.Place(n).Wrong(remedy, format, args...))
}

// Err gives all that was wrong.
func (r *Reader) Err() error { return errors.Join(r.problems...) }

// Written is what the file has at a node, without what an alias stands for.
func Written(n Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// Find gives the value of a key below others, or nil. A key of a list is a number.
func (r *Reader) Find(path ...string) Node {
	if len(r.Documents) == 0 {
		return nil
	}
	node := r.Documents[0]
	for _, key := range path {
		if list, ok := r.Resolve(node).(*ast.SequenceNode); ok {
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(list.Values) {
				return nil
			}
			node = list.Values[i]
			continue
		}
		entries, _ := r.Entries(node)
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == key })
		if i < 0 {
			return nil
		}
		node = entries[i].Value
	}
	return node
}

// Entry is a key of a mapping with its value.
type Entry struct {
	Name       string
	Key, Value Node
}

// Entries gives the keys and values of a mapping, those that << takes over behind its own.
func (r *Reader) Entries(n Node) (entries []Entry, ok bool) {
	var values []*ast.MappingValueNode
	switch m := r.Resolve(n).(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		return nil, false
	}
	var taken []Entry
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			taken = append(taken, r.taken(v.Value)...)
			continue
		}
		key := Node(v.Key)
		if marked, ok := key.(*ast.MappingKeyNode); ok { // ? key
			key = marked.Value
		}
		entries = append(entries, Entry{Written(key), key, v.Value})
	}
	for _, e := range taken {
		if !slices.ContainsFunc(entries, func(own Entry) bool { return own.Name == e.Name }) {
			entries = append(entries, e)
		}
	}
	return entries, true
}

// taken are the entries of a mapping, or of a list of them.
func (r *Reader) taken(n Node) (entries []Entry) {
	r.merging++
	defer func() { r.merging-- }()
	if r.merging > 16 { // a mapping may take over itself
		return nil
	}
	if list, ok := r.Resolve(n).(*ast.SequenceNode); ok {
		for _, one := range list.Values {
			entries = append(entries, r.taken(one)...)
		}
		return entries
	}
	entries, _ = r.Entries(n)
	return entries
}

// Fields are what to do with the value of each key that a mapping may have.
type Fields map[string]func(Node)

// Mapping reads a mapping that has no other keys than these.
func (r *Reader) Mapping(n Node, known Fields) {
	names := slices.Sorted(maps.Keys(known))
	entries, ok := r.Entries(n)
	if !ok {
		r.Wrong(n, "the keys are "+strings.Join(names, ", "), "a mapping is expected here")
		return
	}
	for _, entry := range entries {
		if read, ok := known[entry.Name]; ok {
			read(entry.Value)
			continue
		}
		remedy := "the keys are " + strings.Join(names, ", ")
		if near := plaintext.Nearest(entry.Name, names); near != "" {
			remedy = fmt.Sprintf("did you mean %s?", near)
		}
		r.Wrong(entry.Key, remedy, "unknown key %q", entry.Name)
	}
}

// Each reads every element of a list.
func (r *Reader) Each(n Node, read func(Node)) {
	list, ok := r.Resolve(n).(*ast.SequenceNode)
	if !ok {
		r.Wrong(n, "write each below the other, behind a dash", "a list is expected here")
		return
	}
	for _, one := range list.Values {
		read(one)
	}
}

// OneOrEach reads every element of a list, or the one thing that is there in place of it.
func (r *Reader) OneOrEach(n Node, read func(Node)) {
	if _, ok := r.Resolve(n).(*ast.SequenceNode); !ok {
		read(n)
		return
	}
	r.Each(n, read)
}

// Scalar gives a text, or a number or truth as it is written.
func (r *Reader) Scalar(n Node) (text string, ok bool) {
	switch n := r.Resolve(n).(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// Text reads a text that is not empty.
func (r *Reader) Text(n Node) string {
	text, _ := r.Scalar(n)
	if text == "" {
		r.Wrong(n, "write it behind the colon", "a text is expected here")
	}
	return text
}

// Texts reads a text or a list of them.
func (r *Reader) Texts(n Node) (texts []string) {
	r.OneOrEach(n, func(n Node) { texts = append(texts, r.Text(n)) })
	return texts
}

// Bool reads true or false.
func (r *Reader) Bool(n Node) bool {
	b, ok := r.Resolve(n).(*ast.BoolNode)
	if !ok {
		r.Wrong(n, "write true or false", "%q is neither true nor false", Written(n))
		return false
	}
	return b.Value
}

// Int reads a number without a fraction.
func (r *Reader) Int(n Node, least int64) int64 {
	text, _ := r.Scalar(n)
	parsed, err := strconv.ParseInt(text, 0, 64)
	if decimal, plain := strconv.ParseInt(text, 10, 64); plain == nil { // not octal
		parsed, err = decimal, nil
	}
	remedy := "write a number without a fraction"
	if least > math.MinInt64 {
		remedy = fmt.Sprintf("write a number from %d", least)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		r.Wrong(n, remedy, "number %q is too large", Written(n))
	case err != nil || parsed < least:
		r.Wrong(n, remedy, "invalid number %q", Written(n))
	}
	return parsed
}

// Duration reads a number with its unit.
func (r *Reader) Duration(n Node) time.Duration {
	text, _ := r.Scalar(n)
	parsed, err := time.ParseDuration(text)
	if err != nil {
		r.Wrong(n, "write a number with its unit, as in 100ms, 30s or 10m", "invalid duration %q", Written(n))
	}
	return parsed
}
