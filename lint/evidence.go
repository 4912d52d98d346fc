package lint

import (
	"fmt"
	"slices"
)

// Place is a statement in the body of a function or block.
type Place struct {
	Function string // its name without its schema; inline_code_block for DO
	Line     int    // in the body; 0 for anywhere in the function
	Text     string // the statement, or the expression that makes it
	// Caught is set where a handler may take back what the statement did.
	Caught bool
}

// block is what PostgreSQL calls the function of a DO.
const block = "inline_code_block"

// Ran is a statement or expression of a body that was executed.
type Ran struct {
	Function string `json:"function"`
	Line     int    `json:"line,omitempty"`
	Text     string `json:"text,omitempty"`
}

// doubt is why a text does not tell what a statement does.
type doubt struct {
	reason  string
	places  []Place // in bodies, a run of which tells
	table   string  // that no migration makes
	lasting bool    // a run does not tell either
}

// placesIn gives the places of a function's body.
func placesIn(function string, places []Place) []Place {
	all := slices.Clone(places)
	for i := range all {
		all[i].Function = function
	}
	return all
}

// lacks is the one judge of whether a statement was rehearsed with evidence: it says
// what is missing for the run to tell that something does not happen, or "". Whatever
// takes back or softens what the text says asks it. Places are those of a body that
// must have run for that, tables those that must have had rows at that moment.
func (o Observation) lacks(places []Place, tables []string) string {
	switch {
	case o.NotRun != "":
		return o.NotRun
	case o.Failure != nil:
		return "the server refused it: " + o.Failure.Message
	case o.Empty && o.WithRows != nil:
		return "with invented rows the server refused it: " + o.WithRows.Message
	case o.Empty:
		return "it ran on empty tables, as the invented rows were refused before it"
	}
	for _, p := range places {
		if !o.executed(p) {
			return p.String() + " did not run"
		}
		if p.Caught {
			return "a handler may have taken back what " + p.String() + " did"
		}
	}
	for _, t := range tables {
		if rows, there := o.Rows[t]; !there {
			return t + " was not there"
		} else if rows == 0 {
			return o.emptiness(t)
		}
	}
	return ""
}

// emptiness says why a table had no rows.
func (o Observation) emptiness(table string) string {
	why := o.Unfilled[table]
	if why == "" {
		why = "a statement before had left none"
	}
	return fmt.Sprintf("%s stayed empty (%s)", table, why)
}

// unseen is what is missing for locks and reads to be known, or "".
func (o Observation) unseen() string {
	if o.Unseen {
		return "what it locks and reads does not show outside a transaction"
	}
	return ""
}

// touched are the tables with rows of their own that a statement may have changed, read
// or rewritten under its locks.
func (o Observation) touched() []string {
	var all []string
	for _, l := range o.Held {
		if _, holdsRows := o.Rows[l.Table]; holdsRows && l.Mode >= RowExclusive {
			all = append(all, l.Table)
		}
	}
	return all
}

// executed reports whether a statement of a body was seen to run.
func (o Observation) executed(p Place) bool {
	return slices.ContainsFunc(o.Ran, func(r Ran) bool {
		return r.Function == p.Function && (p.Line == 0 || r.Line == p.Line && r.Text == p.Text)
	})
}

// String names the place for messages.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return "the function " + p.Function + "()"
	case p.Function == block:
		return fmt.Sprintf("line %d of the block", p.Line)
	}
	return fmt.Sprintf("line %d of %s()", p.Line, p.Function)
}
