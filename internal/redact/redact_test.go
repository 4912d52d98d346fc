package redact_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/redact"
)

func TestEveryFormOfAPasswordIsMasked(t *testing.T) {
	t.Parallel()
	for _, conninfo := range []string{
		"postgres://app:s3cr3t-p%C3%A4%2Fss@host:5432/db",
		"postgres://app:s3cr3t-pä%2Fss@host:5432/db",
		"host=h user=app password=s3cr3t-pä/ss",
		"host=h user=app password='s3cr3t-pä/ss' dbname=x",
		"postgres://app:s3cr3t-pä/ss@host:port/db",
	} {
		r := &redact.Redactor{}
		r.Connection(conninfo)
		for _, text := range []string{conninfo, "it is s3cr3t-pä/ss", `{"x":"s3cr3t-p%C3%A4%2Fss"}`, "s3cr3t-pä%2Fss"} {
			require.NotContains(t, r.Clean(text), "s3cr3t", "%s in %s", conninfo, text)
			require.Contains(t, r.Clean(text), redact.Mask)
		}
		require.Equal(t, "app@host:5432/db", r.Clean("app@host:5432/db"))
	}
}

// Whatever character is in a password that is not encoded: nothing of it is left in
// what was given, in what the driver makes of that, and in what it says about it.
func TestAPasswordThatIsNotEncodedIsMaskedWhole(t *testing.T) {
	t.Parallel()
	for _, between := range []string{"@", "/", "#", "%", ":", "?", "[", "]", " ", "@@", "/@", "@/", "#?", "%2", "&",
		"?a=b@", "\\", "^"} {
		password := "First1" + between + "Second2"
		for _, conninfo := range []string{
			"postgres://app:" + password + "@db.example.com:5432/shop",
			"postgres://app:" + password + "@db.example.com/shop?sslmode=disable&connect_timeout=1",
			"postgresql://app:" + password + "@one.example.com,two.example.com:6432",
			"https://app:" + password + "@push.example.com/path",
			"host=db.example.com password=" + password + " dbname=shop",
			"postgres://db.example.com/shop?user=app&password=" + password + "&sslmode=disable",
		} {
			r := &redact.Redactor{}
			r.Connection(conninfo)
			texts := []string{"given: " + conninfo, fmt.Sprintf("%q", conninfo), url.QueryEscape(conninfo),
				url.PathEscape(password), password}
			quoted, err := json.Marshal(conninfo)
			require.NoError(t, err)
			texts = append(texts, string(quoted))
			if parsed, err := pgx.ParseConfig(conninfo); err != nil {
				texts = append(texts, err.Error())
			} else {
				texts = append(texts, parsed.Host+":"+fmt.Sprint(parsed.Port)+"/"+parsed.Database, fmt.Sprint(parsed.RuntimeParams))
			}
			_, err = url.Parse(conninfo)
			texts = append(texts, fmt.Sprint(err))
			for _, text := range texts {
				shown := r.Clean(text)
				require.NotContains(t, shown, "First1", "%s\n%s", conninfo, text)
				require.NotContains(t, shown, "Second2", "%s\n%s", conninfo, text)
			}
			require.Equal(t, "cannot reach db.example.com:5432/shop", r.Clean("cannot reach db.example.com:5432/shop"), conninfo)
		}
	}
}

func TestWhatIsNoPasswordIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, conninfo := range []string{
		"postgres://db.example.com:5432/shop?application_name=a@b", "postgres:///shop?host=/run/x:5@y",
		"postgres://app@db.example.com/shop", "host=db.example.com user=app@tenant dbname=shop",
		"postgres://[::1]:5432/shop?user=a@b",
	} {
		r := &redact.Redactor{}
		r.Connection(conninfo)
		require.Equal(t, conninfo, r.Clean(conninfo))
	}
}

func TestOrdinaryWordsAreMaskedOnlyAsPasswords(t *testing.T) {
	t.Parallel()
	r := &redact.Redactor{}
	r.Connection("postgres://postgres:postgres@localhost/app")
	require.Equal(t, "postgres@localhost:5432/app", r.Clean("postgres@localhost:5432/app"))
	require.Equal(t, `an "up" event`, r.Clean(`an "up" event`))
	require.Equal(t, "postgres://postgres:xxxxx@localhost/app", r.Clean("postgres://postgres:postgres@localhost/app"))
	require.Equal(t, "user=x password=xxxxx y", r.Clean("user=x password=postgres y"))
	require.Equal(t, "as postgres://user:password@host:5432/database",
		r.Clean("as postgres://user:password@host:5432/database"))
	require.Equal(t, "nothing known", (&redact.Redactor{}).Clean("nothing known"))
}

// A password that nobody has told of is masked where a URL shows it.
func TestPasswordsInURLsOfOthersAreMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"cannot parse `postgres://app:xxxxx@Half@h:1/d`: no":    "cannot parse `postgres://app:xxxxx@h:1/d`: no",
		`CONNECTION 'postgres://a:b@h/d' PUBLICATION p`:         `CONNECTION 'postgres://a:xxxxx@h/d' PUBLICATION p`,
		"see https://example.com:8080/a@b and mail x:y@z":       "see https://example.com:8080/a@b and mail x:y@z",
		`{"one":"amqp://u:p@q:5672","two":"redis://u:p@q@r/0"}`: `{"one":"amqp://u:xxxxx@q:5672","two":"redis://u:xxxxx@r/0"}`,
	} {
		require.Equal(t, want, (&redact.Redactor{}).Clean(text))
	}
}

func TestValuesAreReplacedByTheirVariables(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 8)
	r := &redact.Redactor{}
	r.Values(map[string]string{
		"quote": "it's 100% s3cret", "short": "k7", "long": long, "path": `c:\keys\k3y`, "lines": "first l1ne\nsecond l1ne",
		"price": "$1 ${x}",
	})
	for text, want := range map[string]string{
		`DETAIL: Key (v)=(it's 100% s3cret) already exists.`: `DETAIL: Key (v)=(${quote}) already exists.`,
		`SQL statement "SELECT 'it''s 100% s3cret'"`:         `SQL statement "SELECT '${quote}'"`,
		`{"x":"it's 100% s3cret"}`:                           `{"x":"${quote}"}`,
		`syntax error at or near "s3cret"`:                   `syntax error at or near "${quote}"`,
		`Key (code)=(k7) is not present`:                     `Key (code)=(${short}) is not present`,
		`invalid input: "k7"`:                                `invalid input: "${short}"`,
		`the k7s are 'k7x' and k7`:                           `the k7s are 'k7x' and k7`,
		`contains (1, ` + long[:64] + `..., null)`:           `contains (1, ${long}..., null)`,
		`{"path":"c:\\keys\\k3y"}`:                           `{"path":"${path}"}`,
		`{"lines":"first l1ne\nsecond l1ne"}`:                `{"lines":"${lines}"}`,
		`costs $1 ${x}`:                                      `costs ${price}`,
	} {
		require.Equal(t, want, r.Clean(text))
	}
}

func TestTextsAreMaskedEverywhereAndURLsKeepTheirHost(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a xxxxx, xxxxx b", redact.Everywhere("a token, token-and-more b", "", "token", "token-and-more"))
	require.Equal(t, "Post https://hooks.example/xxxxx and http://h",
		redact.Addresses("Post https://u:p@q@hooks.example/T/B?x=1 and http://u@h"))
	require.Equal(t, "nothing", redact.Addresses(redact.Everywhere("nothing")))
}
