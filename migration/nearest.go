package migration

import "strings"

// nearest returns the word that text most probably was meant to be: the one
// from which it differs by the fewest insertions, deletions and replacements,
// if those are not more than a third of its letters. Case does not matter.
func nearest(text string, words []string) string {
	best, least := "", 0
	for _, word := range words {
		steps := distance(strings.ToLower(text), strings.ToLower(word))
		if steps <= (len(word)+2)/3 && (best == "" || steps < least) {
			best, least = word, steps
		}
	}
	return best
}

// distance is Levenshtein's, with one row of the table kept.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
