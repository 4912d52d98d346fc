// Package plaintext has what every room needs of texts: the ends of their lines, the
// word that was meant, and patterns that are compiled when they are first used. An
// end of a line never counts: a text is read with LF, and put back with the ends that
// its file has.
package plaintext

import "strings"

// LF gives a text with LF as its line ends. CR LF is one, and a CR alone where the text has
// no LF at all; any other CR is part of its line.
func LF(text string) string {
	switch {
	case !strings.Contains(text, "\r"):
		return text
	case !strings.Contains(text, "\n"):
		return strings.ReplaceAll(text, "\r", "\n")
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}

// Variants gives the texts that are the same but for the ends of their lines: as it is, and
// with LF, CR LF and CR.
func Variants(text string) []string {
	lf := LF(text)
	return []string{text, lf, strings.ReplaceAll(lf, "\n", "\r\n"), strings.ReplaceAll(lf, "\n", "\r")}
}

// Like gives a text the line ends of the file that it is written into. Where those are
// mixed, the lines that are the same as before, at the beginning and at the end, keep
// theirs, and those in between get the more frequent one.
func Like(text, file string) string {
	text = LF(text)
	end := endOf(file)
	if LF(file) == file || strings.ReplaceAll(LF(file), "\n", end) == file {
		return strings.ReplaceAll(text, "\n", end)
	}
	before, after := split(file), split(text)
	head, tail := 0, 0
	for head < min(len(before), len(after)) && LF(before[head]) == after[head] {
		head++
	}
	for tail < min(len(before), len(after))-head && LF(before[len(before)-1-tail]) == after[len(after)-1-tail] {
		tail++
	}
	middle := strings.Join(after[head:len(after)-tail], "")
	return strings.Join(before[:head], "") + strings.ReplaceAll(middle, "\n",
		end) + strings.Join(before[len(before)-tail:], "")
}

// endOf is the line end that most lines of a file have.
func endOf(file string) string {
	pairs, all := strings.Count(file, "\r\n"), strings.Count(file, "\n")
	switch {
	case all == 0 && strings.Contains(file, "\r"):
		return "\r"
	case pairs > all-pairs:
		return "\r\n"
	}
	return "\n"
}

// split gives the lines of a text that has some LF, with their ends.
func split(text string) []string { return strings.SplitAfter(text, "\n") }
