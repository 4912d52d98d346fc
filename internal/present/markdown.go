package present

import "strings"

// LongestComment is about how many bytes of Markdown a comment has at most: GitHub takes
// 65,536 characters.
const LongestComment = 50_000

var markup = strings.NewReplacer("\r", "", "\n", " ", `\`, `\\`,
	"|", `\|`, "<", "&lt;", ">", "&gt;", "`", "\\`", "*", `\*`,
	"_", `\_`, "[", `\[`, "@", "@\u200b")

// Markdown is a text on one line, also in a cell of a table, in which nothing is markup and
// nobody is mentioned.
func Markdown(text string) string { return markup.Replace(text) }

// MarkdownCode is a text between backquotes, also in a cell of a table.
func MarkdownCode(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\r", "", "\n", " ", "|", `\|`).Replace(text) + "`"
}

// MarkdownBlock is a text as a block of code, whatever the text has in it.
func MarkdownBlock(language, text string) string {
	marks := "```"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	return marks + language + "\n" + strings.TrimRight(text, "\n") + "\n" + marks + "\n"
}

// MarkdownRow is a row of a table, of cells that are Markdown.
func MarkdownRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// MarkdownHead is the head of a table.
func MarkdownHead(names ...string) string {
	return MarkdownRow(names...) + strings.Repeat("|---", len(names)) + "|\n"
}
