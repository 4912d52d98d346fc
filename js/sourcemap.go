package js

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// sourceMap is what of a source map matters here. Its format is ECMA-426.
type sourceMap struct {
	Version        int      `json:"version"`
	Sources        []string `json:"sources"`
	SourcesContent []string `json:"sourcesContent"`
	Mappings       string   `json:"mappings"`
	Names          []string `json:"names"`
}

const sourceMapStart = "//# sourceMappingURL=data:application/json;base64,"

// cutSourceMap separates code from the source map at its end.
func cutSourceMap(text string) (code, encoded string, err error) {
	at := strings.LastIndex(text, sourceMapStart)
	if at < 0 {
		return "", "", errors.New("no source map")
	}
	return text[:at], strings.TrimSpace(text[at+len(sourceMapStart):]), nil
}

// readSourceMap reads what esbuild made. Names that it took over from the map in
// its input are escaped as in addresses, others are not.
func readSourceMap(encoded string, escaped bool) (sourceMap, error) {
	var m sourceMap
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(decoded, &m)
	}
	if err == nil && len(m.Sources) != len(m.SourcesContent) {
		err = errors.New("texts are missing")
	}
	if err != nil {
		return sourceMap{}, fmt.Errorf("reading the source map: %w", err)
	}
	for i, source := range m.Sources {
		m.Sources[i] = strings.TrimPrefix(source, namespace+":")
		if name, err := url.PathUnescape(m.Sources[i]); escaped && err == nil {
			m.Sources[i] = name
		}
	}
	return m, nil
}

// texts gives the original files by the names that goja gives them.
func (m sourceMap) texts() map[string]string {
	texts := make(map[string]string, len(m.Sources))
	for i, source := range m.Sources {
		texts[source] = m.SourcesContent[i]
	}
	return texts
}

// comment is the map as a line at the end of code.
func (m sourceMap) comment() string {
	encoded, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always can be encoded
	}
	return sourceMapStart + base64.StdEncoding.EncodeToString(encoded) + "\n"
}

// forGoja is the map as goja reads maps: it counts columns from 1 on both
// sides, where the format has 0, and takes sources for URLs. Columns are
// written as differences, so that the first of a line, or of all, decides.
func (m sourceMap) forGoja() sourceMap {
	lines := strings.Split(m.Mappings, ";")
	first := true
	for i, line := range lines {
		if line == "" {
			continue
		}
		segment, rest, more := strings.Cut(line, ",")
		fields := decodeVLQ(segment)
		fields[0]++
		if first && len(fields) >= 4 {
			fields[3]++
			first = false
		}
		lines[i] = encodeVLQ(fields)
		if more {
			lines[i] += "," + rest
		}
	}
	shifted := m
	shifted.Mappings = strings.Join(lines, ";")
	shifted.SourcesContent = nil
	shifted.Sources = make([]string, len(m.Sources))
	for i, source := range m.Sources {
		shifted.Sources[i] = (&url.URL{Path: source}).EscapedPath()
	}
	return shifted
}

const vlqDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decodeVLQ reads the numbers of one segment; each digit holds five bits and a
// mark that another follows, and the lowest bit of a number is its sign.
func decodeVLQ(segment string) []int {
	var fields []int
	value, shift := 0, 0
	for i := range len(segment) {
		digit := strings.IndexByte(vlqDigits, segment[i])
		value |= (digit & 31) << shift
		if shift += 5; digit&32 != 0 {
			continue
		}
		field := value >> 1
		if value&1 != 0 {
			field = -field
		}
		fields = append(fields, field)
		value, shift = 0, 0
	}
	return fields
}

func encodeVLQ(fields []int) string {
	var b strings.Builder
	for _, field := range fields {
		value := field << 1
		if field < 0 {
			value = -field<<1 | 1
		}
		for {
			digit := value & 31
			if value >>= 5; value > 0 {
				digit |= 32
			}
			b.WriteByte(vlqDigits[digit])
			if value == 0 {
				break
			}
		}
	}
	return b.String()
}
