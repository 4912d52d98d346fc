package lint

import (
	"fmt"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) alterSequence(s *ast.AlterSeqStmt) {
	n := nameOfRange(s.Sequence)
	if r := j.find(n); r != nil && j.isNew(r) {
		j.because("the sequence was made by this migration")
		return
	}
	for _, o := range s.Options {
		d := o.GetDefElem()
		switch d.GetDefname() {
		case "restart":
			j.report(Finding{Hazard: sequenceRestart, Message: fmt.Sprintf("%s starts over at a number that rows may have "+
				"already", n),
				Rewrite: j.behindNumbers(n)})
		case "as":
			if t := typeOf(d.Arg.GetTypeName()); t.Name.Object != "int8" {
				j.report(Finding{Hazard: sequenceNarrowing, Message: fmt.Sprintf("%s ends at the largest %s: if it is past "+
					"that already the statement fails, and if not it will run out", n, t)})
			}
		case "maxvalue", "cycle":
			if d.Arg != nil && text(d.Arg) != "false" {
				j.report(Finding{Hazard: sequenceNarrowing, Message: fmt.Sprintf("%s may reach its end, or numbers that rows "+
					"have already", n)})
			}
		case "owned_by":
			j.because("no row depends on the owner of a sequence")
		}
	}
	j.because("only the sequence is locked, for a moment")
}

// behindNumbers sets a sequence to go on behind the numbers that rows have; empty where
// no column is known that takes its numbers.
func (j *judge) behindNumbers(sequence Name) string {
	of := j.find(sequence)
	for _, r := range j.sorted() {
		for _, c := range r.columns {
			call := c.value.GetFuncCall()
			if call == nil || len(call.Args) != 1 || nameOf(texts(call.Funcname)).Object != "nextval" {
				continue
			}
			if found := j.find(nameOf(strings.Split(text(call.Args[0]), "."))); found != nil && found == of {
				return fmt.Sprintf("SELECT setval(%s, (SELECT max(%s) FROM %s));", literal(j.written(of)), quoted(c.name),
					j.written(r))
			}
		}
	}
	return ""
}

func (m *model) createSequence(s *ast.CreateSeqStmt) {
	if m.find(m.qualify(nameOfRange(s.Sequence))) == nil {
		m.create(s.Sequence, sequence)
	}
}
