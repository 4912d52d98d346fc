// Package pages reads the pages of the documentation, and follows them as
// a reader would: for the tests that keep them true.
//
// A page says in the info string of a fenced block what a test is to do with it;
// renderers show the first word's language and ignore the rest.
//
//	```sh run                           a reader types this
//	```sh run status=3                  … and it ends in status 3
//	```text output                      … and this is printed
//	```sql file=migrations/1_users.sql  a reader saves this
//
// In what is printed, … stands for anything within a line, and a line of nothing
// but … for any number of lines. In the path of a file, * stands for what only
// the moment knows, as the version of a migration that was created before; there
// must be one such file.
package pages

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Page is a page of documentation.
type Page struct {
	Path     string
	Headings []string
	Blocks   []Block
	Links    []Link
}

// Block is a fenced block.
type Block struct {
	Language string
	// Run is set for what a reader types, Output for what is then printed.
	Run, Output bool
	// Status is how a block with Run ends.
	Status int
	// File is where a reader saves the text; "" where he does not.
	File string
	// Words are those of the info string that mean nothing here.
	Words []string
	Text  string
	Line  int // of the fence, from 1
	// Section is the heading above it.
	Section string
}

// Link is a link to a file, a heading, or the world.
type Link struct {
	Target string
	Line   int
}

// Read reads the page in a file.
func Read(path string) (Page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Page{}, fmt.Errorf("reading a page: %w", err)
	}
	return Parse(path, string(text))
}

var (
	headingLine = regexp.MustCompile(`^#{1,6} +(.+)$`)
	codeSpan    = regexp.MustCompile("`[^`]*`")
	linkTarget  = regexp.MustCompile(`\]\(([^()\s]+)\)`)
)

// Parse reads a page. path is for errors.
func Parse(path, text string) (Page, error) {
	page := Page{Path: path}
	var open *Block
	for number, line := range strings.Split(text, "\n") {
		number++
		switch fence := strings.HasPrefix(line, "```"); {
		case fence && open == nil:
			block, err := parseInfo(strings.Fields(line[len("```"):]))
			if err != nil {
				return page, fmt.Errorf("%s:%d: %w", path, number, err)
			}
			block.Line = number
			if len(page.Headings) > 0 {
				block.Section = page.Headings[len(page.Headings)-1]
			}
			open = &block
		case fence:
			page.Blocks = append(page.Blocks, *open)
			open = nil
		case open != nil:
			open.Text += line + "\n"
		default:
			page.prose(number, line)
		}
	}
	if open != nil {
		return page, fmt.Errorf("%s:%d: the block is not closed", path, open.Line)
	}
	return page, nil
}

func (p *Page) prose(number int, line string) {
	if match := headingLine.FindStringSubmatch(line); match != nil {
		p.Headings = append(p.Headings, match[1])
	}
	for _, match := range linkTarget.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
		p.Links = append(p.Links, Link{Target: match[1], Line: number})
	}
}

func parseInfo(words []string) (Block, error) {
	var block Block
	for i, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			block.Language = word
		case word == "run":
			block.Run = true
		case word == "output":
			block.Output = true
		case key == "file" && value != "":
			block.File = value
		case key == "status":
			if _, err := fmt.Sscan(value, &block.Status); err != nil {
				return block, fmt.Errorf("invalid exit status %q", value)
			}
		default:
			block.Words = append(block.Words, word)
		}
	}
	if block.Status != 0 && !block.Run {
		return block, fmt.Errorf("a status without run")
	}
	return block, nil
}

// Runnable reports whether there is something to follow on the page.
func (p Page) Runnable() bool {
	return slices.ContainsFunc(p.Blocks, func(b Block) bool { return b.Run })
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// Anchors are what links can point to on the page, as the usual renderers name
// headings.
func (p Page) Anchors() []string {
	var anchors []string
	for _, heading := range p.Headings {
		anchor := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
		unique := anchor
		for n := 1; slices.Contains(anchors, unique); n++ {
			unique = fmt.Sprintf("%s-%d", anchor, n)
		}
		anchors = append(anchors, unique)
	}
	return anchors
}
