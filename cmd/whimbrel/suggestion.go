package main

import "github.com/whimbrel-db/whimbrel/internal/plaintext"

// didYouMean is a sentence for a remedy, or "" when nothing is near.
func didYouMean(prefix, word string, candidates []string) string {
	if near := plaintext.Nearest(word, candidates); near != "" {
		return "did you mean " + prefix + near + "?"
	}
	return ""
}
