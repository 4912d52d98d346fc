package plaintext

import "strings"

// Nearest gives the candidate that word was probably meant to be: the one with
// the fewest differences, if those are not more than a third of its letters;
// otherwise "". Case does not matter. It is for "did you mean …?" in an error.
func Nearest(word string, candidates []string) string {
	best, least := "", 0
	for _, candidate := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(candidate))
		if d <= (len(candidate)+2)/3 && (best == "" || d < least) {
			best, least = candidate, d
		}
	}
	return best
}

// Slip reports whether a word in lower case is another one with a letter too many, too few,
// wrong or swapped with its neighbour. The first one is hardly ever wrong.
func Slip(word, meant string) bool {
	return word != "" && word[0] == meant[0] && distance(word, meant) == 1
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour to get from a to b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before, above []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		before, above, row = above, row, make([]int, len(t)+1)
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(above[j]+cost, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(t)]
}

// DidYouMean is a sentence for a remedy, or "" when nothing is near.
func DidYouMean(prefix, word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return "did you mean " + prefix + near + "?"
	}
	return ""
}
