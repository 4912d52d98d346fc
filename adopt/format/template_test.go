package format

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATemplateIsRendered(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{range 3}}x{{end}}`:                                                          "xxx",
		`{{range $i := 3}}{{$i}} {{else}}none{{end}}`:                                  "0 1 2 ",
		`{{range 0}}x{{else}}none{{end}}`:                                              "none",
		`{{if eq .name "shop"}}{{printf "%5s|%-3d" .name 7}}{{end}}`:                   " shop|7  ",
		`{{template "v.sql" .}}`:                                                       "view shop",
		`{{define "a"}}<{{.}}>{{end}}{{range $i := 2}}{{template "a" $i}}{{end}}`:      "<0><1>",
		`{{print 1 2}} {{println "a"}}{{html "<"}}{{js "'"}}{{urlquery "&"}}`:          "1 2 a\n&lt;\\'%26",
		`{{range 10}}{{if true}}{{break}}{{end}}{{end}}{{with .name}}{{len .}}{{end}}`: "4",
	} {
		got, problem := render("1_a.sql", text, map[string]string{"v.sql": "view {{.name}}", "odd.sql": "{{"},
			map[string]any{"name": "shop"})
		require.Nil(t, problem, text)
		require.Equal(t, want, got, text)
	}
}

func TestWhatATemplateLacksIsNamedAtItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\nä {{upper .name}}":          `1_a.sql:2:5: the template cannot be rendered: function "upper" not defined`,
		"\n{{if true}}{{.none}}{{end}}": `1_a.sql:2:14: the template cannot be rendered: map has no entry for key "none"`,
		`{{template "none.sql"}}`:       `1_a.sql:1:12: the template cannot be rendered: template "none.sql" not defined`,
		`{{template "v.sql" .}}`:        `1_a.sql: the template cannot be rendered: map has no entry for key "view" (in v.sql, line 3)`,
		`{{if}}`:                        `1_a.sql:1:1: the template cannot be rendered: missing value for if`,
		`{{whimbrel_step_}}`:            `1_a.sql:1:3: the template cannot be rendered: function "whimbrel_step_" not defined`,
	} {
		_, problem := render("1_a.sql", text, map[string]string{"v.sql": "\n\n{{.view}}"}, map[string]any{"name": "shop"})
		require.NotNil(t, problem, text)
		problem.Path = "1_a.sql"
		require.Equal(t, want, problem.Error(), text)
		require.NotEmpty(t, problem.Remedy)
	}
}

// Each of these would run for longer than anybody waits, or take all memory.
func TestATemplateCannotTakeMoreThanItIsGiven(t *testing.T) {
	t.Parallel()
	doubling := func(by string) string { return `{{$x := "abcdefgh"}}` + strings.Repeat(by, 60) + `{{$x}}` }
	for name, text := range map[string]string{
		"a long loop":                 `{{range 9223372036854775807}}{{end}}`,
		"loops within loops":          `{{range 1000}}{{range 1000}}{{range 1000}}x{{end}}{{end}}{{end}}`,
		"a loop in the else of one":   `{{range 0}}{{else}}{{range 99999999999}}{{end}}{{end}}`,
		"a loop in a condition":       `{{if true}}{{with 1}}{{range 99999999999}}{{end}}{{end}}{{end}}`,
		"a recursion":                 `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`,
		"a recursion that branches":   `{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}`,
		"calls that double":           `{{define "a0"}}{{end}}` + doublingCalls(40) + `{{template "a40"}}`,
		"print that doubles":          doubling(`{{$x = print $x $x}}`),
		"println that doubles":        doubling(`{{$x = println $x $x}}`),
		"printf that doubles":         doubling(`{{$x = printf "%s%s" $x $x}}`),
		"printf that squares":         `{{$x := printf "%9999s" "x"}}{{$f := printf "%9999s" "%[1]s%[1]s%[1]s%[1]s"}}{{$x = printf "%[1]s` + strings.Repeat("%[1]s", 900) + `" $x}}`,
		"a wide number":               `{{printf "%999999999d" 1}}`,
		"a width that is a value":     strings.Repeat(`{{printf "%*d" 999999 1}}`, 4),
		"a precision that is a value": strings.Repeat(`{{printf "%.*f" 999999 1.0}}`, 4),
		"escapes that grow":           doubling(`{{$x = html $x $x}}`),
		"scripts that grow":           doubling(`{{$x = js $x $x}}`),
		"addresses that grow":         doubling(`{{$x = urlquery $x $x}}`),
		"too much text":               `{{range 9999}}` + strings.Repeat("-", 1000) + `{{end}}`,
		"too deep":                    strings.Repeat("{{if true}}", mostActions+1),
	} {
		_, problem := render("1_a.sql", text, nil, map[string]any{})
		require.NotNil(t, problem, name)
		require.Contains(t, problem.Error(), "it takes too much", name)
	}
	for name, text := range map[string]string{
		"deep":              strings.Repeat("{{if true}}", mostActions/2) + "x" + strings.Repeat("{{end}}", mostActions/2),
		"as many as may be": strings.Repeat("{{1}}", mostActions),
	} {
		_, problem := render("1_a.sql", text, nil, map[string]any{})
		require.Nil(t, problem, name)
	}
	_, problem := render("1_a.sql", "{{"+strings.Repeat("(", 200_000)+"1", nil, map[string]any{})
	require.NotNil(t, problem, "brackets that are too deep")
}

// doublingCalls defines templates of which each calls the one before it twice.
func doublingCalls(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		before := "a" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		if i == 1 {
			before = "a0"
		}
		name := "a" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		b.WriteString(`{{define "` + name + `"}}{{template "` + before + `"}}{{template "` + before + `"}}{{end}}`)
	}
	return b.String()
}
