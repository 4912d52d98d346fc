package migration

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASectionIsDividedIntoWhatRunsTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string // of each step: a = alone, t = transaction, b = batch; and how many statements
	}{
		"nothing":                         {"-- only a comment", nil},
		"one transaction":                 {"SELECT 1; SELECT 2;", []string{"t2"}},
		"what cannot be in a transaction": {"SELECT 1; VACUUM t; SELECT 2; SELECT 3;", []string{"t1", "a1", "t2"}},
		"two that stand alone":            {"VACUUM t; VACUUM u;", []string{"a1", "a1"}},
		"no transaction": {"-- +migrate Up notransaction\nSELECT 1; ALTER TABLE t ADD a int; CALL p();",
			[]string{"t1", "t1", "a1"}},
		"a batch between": {"SELECT 1;\n-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;\nSELECT 2;", []string{"t1", "b1", "t1"}},
		"a batch with what is to hold": {"-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;\n-- +migrate Assert\nSELECT true;\n-- +migrate Assert\n" +
			"SELECT true;\nSELECT 2;", []string{"b3", "t1"}},
		"an assertion without a batch": {"SELECT 1;\n-- +migrate Assert\nSELECT true;", []string{"t2"}},
		"a batch that runs apart": {"-- +migrate Up notransaction\n-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;\n-- +migrate Assert\nSELECT true;\nSELECT 2;", []string{"b2",
			"t1"}},
		"a setting before it": {"SET a = 1; RESET b; VACUUM t; SELECT 2;", []string{"2+a1", "t1"}},
		"a setting in between": {"SELECT 1; SET a = 1; VACUUM t; SELECT set_config('b', 'c', false); SELECT 2;",
			[]string{"t2", "a1", "t2"}},
		"a setting that ends at once": {"VACUUM t; SET LOCAL a = 1; VACUUM t;", []string{"a1", "1+a1"}},
		"a setting before a batch": {"SET a = 1;\n-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;", []string{"1+b1"}},
		"settings behind the last": {"VACUUM t; SET a = 1; RESET ALL;", []string{"a1+2"}},
		"settings behind a batch": {"-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;\n-- +migrate Assert\nSELECT true;\nSET a = 1;",
			[]string{"b2+1"}},
		"nothing but settings":        {"SET a = 1; SET b = 1;", []string{"t2"}},
		"nothing but settings, apart": {"-- +migrate Up notransaction\nSET a = 1; SET b = 1;", []string{"t2"}},
		"settings apart": {"-- +migrate Up notransaction\n" +
			"SET a = 1; SET b = 1; SELECT 1; SET c = 1; CALL p(); SELECT 2; SET d = 1;", []string{"2+t1", "1+a1", "t2"}},
		"deferred constraints are none": {"SET CONSTRAINTS ALL DEFERRED; VACUUM t;", []string{"t1", "a1"}},
		"two batches are not one with one": {"-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;\n-- +migrate Batch t by id\n" +
			"UPDATE t SET a = 1 WHERE id > :from AND id <= :to;", []string{"b1", "b1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := Parse("1_a.sql", c.text)
			require.NoError(t, err)
			var got []string
			next := 0
			for _, step := range m.Up.Steps() {
				kind := "t"
				switch {
				case step.Body()[0].Batch != nil:
					kind = "b"
				case step.Alone:
					kind = "a"
				}
				kind += strconv.Itoa(len(step.Body()))
				if step.Prelude > 0 {
					kind = strconv.Itoa(step.Prelude) + "+" + kind
				}
				if step.Trailing > 0 {
					kind += "+" + strconv.Itoa(step.Trailing)
				}
				got = append(got, kind)
				require.Equal(t, next, step.First)
				next += len(step.Statements)
			}
			require.Equal(t, c.want, got)
			require.Len(t, m.Up.Statements, next, "every statement is in one step")
		})
	}
}
