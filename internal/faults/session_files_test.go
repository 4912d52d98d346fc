//go:build linux

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// sessionBase is what session files are built upon: schemas that have tables of the same
// name, so that a row tells which search_path held; roles, of which tables and rows tell;
// a trigger, a policy, functions and a procedure, which do as their session says.
const sessionBase = `
SET client_min_messages = warning; DROP SCHEMA IF EXISTS public, a, b CASCADE; CREATE SCHEMA public; CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE public.mark (n int); CREATE TABLE a.mark (n int); CREATE TABLE b.mark (n int);
CREATE TABLE public.notes (n int, who text, settings text);
CREATE TABLE public.at (n int, t timestamptz);
CREATE TABLE public.texts (n int, t text);
CREATE TABLE public.big (id int PRIMARY KEY, seen text);
INSERT INTO public.big SELECT g FROM generate_series(1, 30) g;
CREATE TABLE public.fired (n int);
CREATE TABLE public.triggered (n int);
CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.fired VALUES (NEW.n); RETURN NEW; END $$;
CREATE TRIGGER fire BEFORE INSERT ON public.triggered FOR EACH ROW EXECUTE FUNCTION public.fire();
CREATE TABLE public.guarded (n int); INSERT INTO public.guarded VALUES (1), (2);
ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON public.guarded USING (n = 1);
CREATE FUNCTION public.tenant(path text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.set_config('search_path', path, false); END $$;
CREATE FUNCTION public.facts() RETURNS text LANGUAGE sql SET client_min_messages = warning AS $$
	SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('role'), pg_catalog.current_setting('search_path'), pg_catalog.current_setting('timezone'),
	pg_catalog.current_setting('statement_timeout'), pg_catalog.current_setting('session_replication_role'), nullif(pg_catalog.current_setting('app.tenant', true), ''),
	nullif(pg_catalog.current_setting('app.other', true), ''), pg_catalog.current_setting('datestyle'), pg_catalog.current_setting('standard_conforming_strings'),
	pg_catalog.current_setting('transaction_isolation'), pg_catalog.current_setting('row_security'), pg_catalog.current_setting('work_mem'),
	pg_catalog.current_setting('bytea_output'), pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('check_function_bodies')) $$;
CREATE FUNCTION public.note(number int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO public.notes SELECT number, current_user || ' ' || session_user, pg_catalog.concat_ws(' ', public.facts(),
	(SELECT least(coalesce(nullif(setting::int, 0), 100), 100) FROM pg_catalog.pg_settings WHERE name = 'lock_timeout')) $$;
CREATE PROCEDURE public.noted(number int) LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.notes SELECT number, current_user || ' ' || session_user, public.facts(); END $$;
GRANT ALL ON SCHEMA public, a, b TO session_a, session_b;
GRANT ALL ON ALL TABLES IN SCHEMA public, a, b TO session_a, session_b;
`

// sessionFile makes a random file about its session.
type sessionFile struct {
	random   *rand.Rand
	number   int
	parts    []string
	role     string // that the file has set, as far as is kept track of
	escapes  bool   // backslashes escape, as far as the file itself says so
	own      string // a temporary table that is there
	prepared string // a prepared statement that is there
	indexes  []string
	apart    bool   // notransaction
	down     bool   // it is the way down
	hook     string // what comes before each migration; none if empty
	head     int    // of its parts, annotations that stand first
	// unexplained is set where a function changes settings or the session keeps what
	// only lives with it.
	unexplained bool
}

func randomSessionFile(random *rand.Rand) *sessionFile {
	f := &sessionFile{random: random, apart: random.IntN(5) == 0, down: random.IntN(5) == 0}
	if random.IntN(6) == 0 {
		f.hook = f.one("SET LOCAL ROLE session_a", "SET LOCAL search_path = b",
			"SELECT set_config('app.other', 'of a hook', true)", "SET TimeZone = 'Asia/Tokyo'")
		if strings.Contains(f.hook, "ROLE") {
			f.role = "session_a"
		}
	}
	if random.IntN(10) == 0 {
		f.add("-- +migrate Set %s", f.one("statement_timeout = 66s", "search_path = 'b, public'", "app.tenant = annotated"))
	}
	if f.down {
		f.add("SELECT 1;")
	}
	if f.apart || f.down {
		f.add("-- +migrate %s%s", map[bool]string{true: "Down", false: "Up"}[f.down],
			map[bool]string{true: " notransaction"}[f.apart])
	}
	f.head = len(f.parts)
	for range 4 + random.IntN(12) {
		switch random.IntN(10) {
		case 0, 1, 2, 3:
			f.says()
		case 4, 5, 6, 7:
			f.works()
		case 8:
			f.standsAlone()
		case 9:
			f.batch()
		}
	}
	f.works()
	return f
}

func (f *sessionFile) add(format string, arguments ...any) {
	f.parts = append(f.parts, fmt.Sprintf(format, arguments...))
}

func (f *sessionFile) one(of ...string) string { return of[f.random.IntN(len(of))] }

func (f *sessionFile) next() int { f.number++; return f.number }

// says adds a statement about the session.
func (f *sessionFile) says() {
	switch f.random.IntN(24) {
	case 0, 1:
		f.add("SET %ssearch_path = %s;", f.one("", "", "LOCAL ", "SESSION "), f.one("a", "b", "b, public", `"a", public`,
			"public, a", "DEFAULT"))
	case 2:
		f.add("%s;", f.one("RESET search_path", "SET SCHEMA 'b'", "SET search_path TO DEFAULT"))
	case 3:
		f.add("SELECT %sset_config('search_path', %s, %s);", f.one("", "pg_catalog."), f.one("'a'", "'b, public'",
			"'a, ' || current_setting('search_path')"), f.one("false", "false", "true"))
	case 4:
		f.unexplained = true
		f.add("%s;", f.one("DO $$ BEGIN PERFORM set_config('search_path', 'b', false); END $$", "SELECT public.tenant('a')",
			"DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; END $$",
			"DO $$ BEGIN SET LOCAL search_path = b; INSERT INTO mark VALUES (0); END $$",
			"DO $$ BEGIN PERFORM set_config('app.tenant', 'by a function', false); END $$"))
	case 5:
		f.add("%s;", f.one("SET TimeZone = 'Asia/Tokyo'", "SET LOCAL TimeZone = 'Asia/Tokyo'",
			"SET TIME ZONE 'America/New_York'", "SET TIME ZONE LOCAL", "SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE",
			"RESET timezone"))
	case 6, 7:
		f.role = f.one("session_a", "session_b")
		f.add("SET %sROLE %s;", f.one("", "", "SESSION ", "LOCAL "), f.role)
	case 8:
		f.role = ""
		f.add("%s;", f.one("RESET ROLE", "SET ROLE NONE", "SET ROLE TO DEFAULT"))
	case 9:
		f.role = "session_a"
		f.add("SET %sSESSION AUTHORIZATION session_a;", f.one("", "", "LOCAL ", "SESSION "))
	case 10, 11:
		f.role = ""
		f.add("%s;", f.one("RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT"))
	case 12:
		if f.role == "" && !strings.Contains(f.hook, "ROLE") {
			f.add("SET %ssession_replication_role = %s;", f.one("", "LOCAL "), f.one("replica", "origin", "DEFAULT", "local"))
		}
	case 13:
		f.add("SET %sapp.%s = %s;", f.one("", "LOCAL "), f.one("tenant", "other"), f.one("'x'", "'y z'", "DEFAULT"))
	case 14:
		f.add("SELECT set_config('app.tenant', coalesce(current_setting('app.tenant', true), '') || '+', %s), "+
			"set_config('app.other', 'z', false);", f.one("true", "false"))
	case 15:
		f.add("SET %sstatement_timeout = '%ds';", f.one("", "LOCAL "), 30+f.random.IntN(60))
	case 16:
		f.escapes = f.random.IntN(2) == 0
		f.add("SET standard_conforming_strings = %s;", map[bool]string{true: "off", false: "on"}[f.escapes])
	case 17:
		text := f.one("RESET ALL", "RESET ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DEALLOCATE ALL")
		switch text {
		case "RESET ALL":
			f.escapes = false
		case "DEALLOCATE ALL":
			f.prepared = ""
		}
		f.add("%s;", text)
	case 18:
		f.escapes, f.role, f.own, f.prepared = false, "", "", ""
		f.add("DISCARD ALL;")
	case 19:
		f.add("SET %s%s;", f.one("", "LOCAL "), f.one("DateStyle = 'German'", "work_mem = '5MB'", "bytea_output = 'escape'",
			"check_function_bodies = off", "row_security = on"))
	case 20:
		f.add("SET %s;", f.one("client_encoding = 'LATIN1'", "NAMES 'UTF8'", "client_encoding TO DEFAULT"))
	case 21:
		f.add("SET default_transaction_isolation = %s;", f.one("'repeatable read'", "'serializable'", "DEFAULT"))
	case 22:
		f.add("SET %slock_timeout = %s;", f.one("", "LOCAL "), f.one("'7ms'", "0", "'1h'", "DEFAULT"))
	case 23:
		f.temporary()
	}
}

// temporary adds what lives with the session.
func (f *sessionFile) temporary() {
	f.unexplained = true
	switch f.random.IntN(6) {
	case 0:
		f.add("CREATE TEMP TABLE brief ON COMMIT DROP AS SELECT %d AS n; INSERT INTO public.texts SELECT n, 'brief' FROM "+
			"brief;", f.next())
	case 1:
		f.prepared = fmt.Sprintf("prepared%d", f.next())
		f.add("PREPARE %s AS INSERT INTO public.texts VALUES (%d, 'prepared');", f.prepared, f.number)
	case 2:
		f.own = fmt.Sprintf("own%d", f.next())
		f.add("CREATE TEMP SEQUENCE s%s; CREATE TEMP TABLE %[1]s AS SELECT nextval('s%[1]s') + %d AS n;", f.own, f.number)
	default:
		f.own = fmt.Sprintf("own%d", f.next())
		f.add("CREATE %s TABLE %s (n int%s); INSERT INTO %[2]s VALUES (%[4]d);", f.one("TEMP", "TEMPORARY",
			"LOCAL TEMPORARY"), f.own, f.one("", " DEFAULT 3"), f.number)
	}
}

// works adds statements whose outcome depends on the session.
func (f *sessionFile) works() {
	n := f.next()
	switch f.random.IntN(14) {
	case 0, 1, 2, 3:
		f.add("SELECT public.note(%d);", n)
	case 4, 5:
		f.add("INSERT INTO mark VALUES (%d);", n)
	case 6, 7:
		f.add("CREATE TABLE %s (n int);", fmt.Sprintf("made%d", n))
	case 8:
		f.add("INSERT INTO public.at VALUES (%d, '2024-03-04 05:06');", n)
	case 9:
		f.add(`INSERT INTO public.texts VALUES (%d, 'C:\temp é');`, n)
		if f.escapes {
			f.add(`INSERT INTO public.texts VALUES (%d, 'a\'; DROP TABLE public.texts; --');`, n)
		}
	case 10:
		f.add("INSERT INTO public.triggered VALUES (%d);", n)
	case 11:
		f.add("INSERT INTO public.texts SELECT %d, count(*) FROM public.guarded;", n)
	case 12:
		f.add("COPY public.mark FROM stdin;\n%d\n%d\n\\.", n, n+1000)
	case 13:
		f.add("SELECT %d;\n-- +migrate Assert it holds\nSELECT true;", n) // a batch's it is not
	}
	if f.own != "" && f.random.IntN(3) == 0 {
		f.add("INSERT INTO public.texts SELECT n, 'of %s' FROM %[1]s;", f.own)
	}
	if f.prepared != "" && f.random.IntN(3) == 0 {
		f.add("EXECUTE %s;", f.prepared)
	}
}

// standsAlone adds a statement that cannot be in a transaction.
func (f *sessionFile) standsAlone() {
	n := f.next()
	switch f.random.IntN(5) {
	case 0:
		if f.role != "" {
			f.add("VACUUM mark;")
			return
		}
		f.add("CREATE INDEX CONCURRENTLY i%d ON %s (n);", n, f.one("mark", "public.mark"))
		f.indexes = append(f.indexes, fmt.Sprintf("i%d", n))
	case 1:
		if f.apart {
			f.add("CALL public.noted(%d);", n)
			return
		}
		f.add("VACUUM public.mark;")
	case 2:
		f.add("%s;", f.one("VACUUM public.texts", "VACUUM ANALYZE mark"))
	case 3:
		if len(f.indexes) > 0 && f.role == "" {
			f.add("DROP INDEX CONCURRENTLY IF EXISTS %s;", f.indexes[len(f.indexes)-1])
		}
	case 4:
		if f.role == "" {
			f.add("CREATE INDEX CONCURRENTLY ON public.big (seen, %s);", f.one("id", "(id + 1)"))
		}
	}
}

// batch adds a backfill that writes down what the session is.
func (f *sessionFile) batch() {
	workers := ""
	if f.random.IntN(4) == 0 {
		workers = " workers=2"
	}
	check := f.one("", "", "\n-- +migrate Assert all of them\nSELECT count(*) = 30 FROM public.big;")
	f.add("-- +migrate Batch public.big by id size=%d%s\n"+
		"UPDATE public.big SET seen = concat_ws(',', seen, %s) WHERE id > :from AND id <= :to;%s",
		7+f.random.IntN(20), workers, f.one("public.facts()", "current_user", "current_setting('search_path')"), check)
}

// text is the file, with what fails before one of its parts; -1 for nothing.
func (f *sessionFile) text(faulty int) string {
	parts := slices.Clone(f.parts)
	if faulty >= 0 {
		parts = slices.Insert(parts, faulty, "SELECT 1 / 0;")
	}
	return strings.Join(parts, "\n") + "\n"
}

// script is what psql does with a section of a file: each step that is a transaction
// is between BEGIN and COMMIT.
func (f *sessionFile) script(m migration.Migration, section migration.Section) string {
	var all strings.Builder
	for _, s := range m.Settings {
		fmt.Fprintf(&all, "SELECT set_config('%s', '%s', false);\n", s.Name, s.Value)
	}
	if f.hook != "" { // which holds for all of the migration
		all.WriteString(strings.NewReplacer("LOCAL ", "", "true)", "false)").Replace(f.hook) + ";\n")
	}
	write := func(statements []migration.Statement) {
		for _, s := range statements {
			text := s.Text
			if s.Batch != nil {
				text = strings.NewReplacer(":from", "0", ":to", "1000000").Replace(text)
			}
			all.WriteString(text + "\n;\n")
			if s.Data != nil {
				all.WriteString(*s.Data + "\\.\n")
			}
		}
	}
	for _, step := range section.Steps() {
		head, tail := step.Statements[:step.Prelude], step.Statements[len(step.Statements)-step.Trailing:]
		write(head)
		if step.Alone {
			write(step.Body())
		} else {
			all.WriteString("BEGIN;\n")
			write(step.Body())
			all.WriteString("COMMIT;\n")
		}
		write(tail)
	}
	return all.String()
}
