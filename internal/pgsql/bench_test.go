package pgsql

import (
	"fmt"
	"strings"
	"testing"
)

// typical is a text of about this size as migrations are written.
func typical(size int) string {
	const migration = `-- Orders learn who placed them.
SET LOCAL lock_timeout = '2s';
CREATE TABLE IF NOT EXISTS public.orders_%[1]d (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES public.customers (id) ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent')),
    total numeric(12, 2) NOT NULL DEFAULT 0.00, -- in the currency of the shop
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE public.orders_%[1]d ADD COLUMN note text;
CREATE INDEX CONCURRENTLY orders_%[1]d_customer ON public.orders_%[1]d (customer_id, created_at DESC);
CREATE OR REPLACE FUNCTION public.touch_%[1]d() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.total <> OLD.total THEN
        NEW.note := concat('was ', OLD.total, '; is ', NEW.total);
    END IF;
    RETURN NEW;
END;
$body$;
CREATE TRIGGER touch BEFORE UPDATE ON public.orders_%[1]d FOR EACH ROW EXECUTE FUNCTION public.touch_%[1]d();
INSERT INTO public.settings (key, value) VALUES ('orders', '%[1]d'), ('it''s', 'on') ON CONFLICT (key) DO UPDATE SET value = excluded.value;
WITH old AS (DELETE FROM public.orders WHERE created_at < now() - interval '1 year' RETURNING *) INSERT INTO public.archive SELECT * FROM old;
COMMENT ON TABLE public.orders_%[1]d IS 'What was ordered; by whom';
`
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, migration, i)
	}
	return b.String()
}

func BenchmarkSplit(b *testing.B) {
	text := typical(1 << 20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Split(text, Options{Mark: isMark}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokens(b *testing.B) {
	text := typical(1 << 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for token := range Tokens(text) {
			_ = token
		}
	}
}

// BenchmarkNasty shows that nothing is quadratic: the rate must not depend on
// the size.
func BenchmarkNasty(b *testing.B) {
	for _, c := range []struct{ name, head, repeat, tail string }{
		{"comments nested deeply", "", "/*", ""},
		{"comments nested and closed", "", "/*/**/*/", ""},
		{"line comments with carriage returns", "", "--\r", "a"},
		{"dollar signs", "", "$ ", ""},
		{"tags never finished", "", "$a ", ""},
		{"one long tag", "$", "a", ""},
		{"parameters", "", "$1", ""},
		{"tags in a dollar quote", "$b$", "$a$", "$b$"},
		{"dollar signs in a dollar quote", "$b$", "$", "b$"},
		{"plus signs", "", "+", ""},
		{"operators with signs", "", "*-", ""},
		{"operators and comments", "", "+/**/", ""},
		{"strings that continue", "", "'a'\n", ""},
		{"strings that might continue", "", "'a' -- b\n (", ""},
		{"strings before marks", "", "'a'\n-- +x\n", ""},
		{"escapes", "E'", `\'`, "'"},
		{"doubled quotes", "'", "''", "'"},
		{"doubled double quotes", `"`, `""`, `"`},
		{"semicolons", "", ";", ""},
		{"short statements", "", "a;", ""},
		{"parentheses", "", "(", ""},
		{"selects", "", "(select ", ""},
		{"with", "", "with a as (", ""},
		{"settings", "", "set standard_conforming_strings=off;", ""},
		{"blocks", "create function f() begin atomic ", "begin ", ""},
		{"copies", "", "copy t from stdin;\n\\.\n", ""},
		{"ends of data that are none", "copy t from stdin;\n", "\\.x\n", "\\.\n"},
		{"options", "reindex (", "a,", ") table t"},
		{"lines", "", "\n", "a"},
		{"letters beyond ASCII", "", "é ", ""},
		{"an error at the end", "", "é\n", `\i`},
	} {
		for _, size := range []int{64 << 10, 1 << 20} {
			text := c.head + strings.Repeat(c.repeat, size/len(c.repeat)) + c.tail
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					_, _ = Split(text, Options{Mark: isMark})
				}
			})
		}
	}
}
