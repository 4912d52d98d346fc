package whimbreltest

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestTheKeyTellsWhatMakesAnotherDatabase(t *testing.T) {
	t.Parallel()
	folder := func(names ...string) fstest.MapFS {
		made := fstest.MapFS{}
		for i := 0; i < len(names); i += 2 {
			made[names[i]] = &fstest.MapFile{Data: []byte(names[i+1])}
		}
		return made
	}
	plain := folder("1_a.sql", "SELECT 1;\n", "2_b.sql", "SELECT 2;\n")
	script := folder("1_a.js", "exports.up = () => {}", "lib/b.js", "1")
	function := func(name string) Option {
		return Functions(whimbrel.Function{Version: "3", Name: name, Up: func(context.Context, pgx.Tx) error { return nil }})
	}
	type variant struct {
		files   fstest.MapFS
		options []Option
		version string
		role    string
	}
	key := func(t *testing.T, v variant) string {
		t.Helper()
		recipe, err := newRecipe(v.files, v.options)
		require.NoError(t, err)
		if v.version == "" {
			v.version = "15.18"
		}
		key, err := recipe.key(v.version, v.role)
		require.NoError(t, err)
		require.Regexp(t, "^[0-9a-f]{20}$", key)
		return key
	}
	tests := map[string]struct {
		one, other variant
		same       bool
	}{
		"the same": {variant{files: plain}, variant{files: plain}, true},
		"another text": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\n", "2_b.sql",
			"SELECT 3;\n")}, false},
		"another line end": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\r\n", "2_b.sql",
			"SELECT 2;\n")}, true},
		"another name": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\n", "2_c.sql",
			"SELECT 2;\n")}, false},
		"another version": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\n", "3_b.sql",
			"SELECT 2;\n")}, false},
		"one file less": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\n")}, false},
		"a file that is not a part": {variant{files: plain}, variant{files: folder("1_a.sql", "SELECT 1;\n", "2_b.sql",
			"SELECT 2;\n", "README.md", "")}, true},
		"up to the first": {variant{files: plain}, variant{files: plain, options: []Option{UpTo("1")}}, false},
		"up to the last":  {variant{files: plain}, variant{files: plain, options: []Option{UpTo("2")}}, true},
		"another table":   {variant{files: plain}, variant{files: plain, options: []Option{Table("t")}}, false},
		"other values": {variant{files: plain, options: []Option{Variables(map[string]string{"A": "1"})}},
			variant{files: plain, options: []Option{Variables(map[string]string{"A": "2"})}}, false},
		"another role beforehand": {variant{files: plain, options: []Option{Roles("a")}},
			variant{files: plain, options: []Option{Roles("b")}}, false},
		"another extension": {variant{files: plain}, variant{files: plain, options: []Option{Extensions("pgcrypto")}}, false},
		"another platform": {variant{files: folder("1_a.sql", "SELECT 1;\n", "p.txt", "SELECT 1;"),
			options: []Option{Prepare("p.txt")}}, variant{files: folder("1_a.sql", "SELECT 1;\n", "p.txt", "SELECT 2;"),
			options: []Option{Prepare("p.txt")}}, false},
		"another server": {variant{files: plain}, variant{files: plain, version: "15.19"}, false},
		"another role":   {variant{files: plain}, variant{files: plain, role: "app"}, false},
		"a function":     {variant{files: plain}, variant{files: plain, options: []Option{function("a")}}, false},
		"the same function": {variant{files: plain, options: []Option{function("a")}},
			variant{files: plain, options: []Option{function("a")}}, true},
		"another function": {variant{files: plain, options: []Option{function("a")}},
			variant{files: plain, options: []Option{function("b")}}, false},
		"another module of scripts": {variant{files: script}, variant{files: folder("1_a.js", "exports.up = () => {}",
			"lib/b.js", "2")}, false},
		"the same script": {variant{files: script}, variant{files: script}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.same {
				require.Equal(t, key(t, test.one), key(t, test.other))
			} else {
				require.NotEqual(t, key(t, test.one), key(t, test.other))
			}
		})
	}
}

func TestTheAddressOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ given, to, shown string }{
		"tcp": {"postgres://app:secret@localhost:5432/postgres?sslmode=disable",
			"postgres://app:secret@localhost:5432/x?sslmode=disable", "postgres://app@localhost:5432/x?sslmode=disable"},
		"nothing else": {"postgresql://localhost", "postgresql://localhost/x", "postgresql://localhost/x"},
		"socket": {"postgres://app@/postgres?host=%2Ftmp&port=5433", "postgres://app@/x?host=%2Ftmp&port=5433",
			"postgres://app@/x?host=%2Ftmp&port=5433"},
		"password as option": {"postgres:///a?host=h&password=secret&user=app&sslpassword=secret",
			"postgres:///x?host=h&password=secret&sslpassword=secret&user=app", "postgres:///x?host=h&user=app"},
		"database as option": {"postgres://h?dbname=a", "postgres://h/x", "postgres://h/x"},
		"escapes":            {"postgres://a%40b:s%2Fx@h/c%2Fd", "postgres://a%40b:s%2Fx@h/x", "postgres://a%40b@h/x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, err := parseAddress(test.given)
			require.NoError(t, err)
			require.Equal(t, test.given, address.maintenance())
			require.Equal(t, test.to, address.to("x"))
			require.Equal(t, test.shown, address.shown("x"))
		})
	}
}

func TestAnAddressThatIsNoneIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"host=h password=secret", "mysql://u:secret@h/d", "postgres://u:secret@h:port/d",
		"postgres://u:secret%zz@h/d", "secret"} {
		_, err := parseAddress(given)
		require.ErrorContains(t, err, "postgres://user:password@host:port/database")
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestTheMajorVersionIsReadFromWhatServersSay(t *testing.T) {
	t.Parallel()
	for version, major := range map[string]int{"15.18 (Debian 15.18-0+deb12u1)": 15, "19beta1": 19, "17": 17, "devel": 0,
		"": 0} {
		require.Equal(t, major, majorOf(version), version)
	}
}
