package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// judge goes through one direction of one migration.
type judge struct {
	*model
	options   Options
	migration migration.Migration
	section   migration.Section
	parsed    []parsed
	later     func() []migration.Statement
	allowed   []bool // by the index of the annotation: it was needed

	tx      *transaction
	session session
	// The statement at hand.
	at      int
	current parsed
	out     *Judgement
	inner   bool // it is in a function's body
	// maybeAbsent is set where the statement does nothing unless what it names is
	// there, and no migration makes that.
	maybeAbsent bool
	bodyPlace
}

// transaction is what the statements before did in the same transaction.
type transaction struct {
	locks    map[*relation]held
	changed  map[*relation]int // tables with changed rows, and the statement that did it
	settings map[string]string
	foreign  map[*relation]int // tables that got foreign keys
	values   map[string]int    // new values of enums, and the statement that added them
}

// held is a lock that the transaction has.
type held struct {
	mode    Mode
	by      int    // index of the statement
	command string // and how it begins
}

// session is what the steps so far have set to the end of the direction.
type session struct {
	base, path []string
	settings   map[string]string
}

// enter begins a direction: with what the file's annotations set.
func (j *judge) enter() {
	j.session = session{base: j.path, settings: map[string]string{}}
	for _, s := range j.migration.Settings {
		j.session.settings[strings.ToLower(s.Name)] = s.Value
		if strings.EqualFold(s.Name, "search_path") {
			j.setPath(strings.Split(s.Value, ","))
		}
	}
	j.session.path = j.path
}

func (j *judge) begin() {
	j.step++
	j.path = j.session.path
	j.tx = &transaction{
		locks: map[*relation]held{}, changed: map[*relation]int{}, settings: maps.Clone(j.session.settings),
		foreign: map[*relation]int{}, values: map[string]int{},
	}
}

// keep follows what the statement says about its session: what is not local holds in
// the steps to come as well.
func (j *judge) keep() {
	changes, _ := pgsql.SettingChanges(j.current.statement.Statement)
	local := false
	for _, c := range changes {
		local = local || c.Local
		switch {
		case c.Local:
		case c.Name == "":
			j.path = j.session.base
			clear(j.session.settings)
		case c.Reset && c.Name == "search_path":
			j.path = j.session.base
			fallthrough
		default:
			if value, is := j.tx.settings[c.Name]; is {
				j.session.settings[c.Name] = value
			} else {
				delete(j.session.settings, c.Name)
			}
		}
	}
	if !local {
		j.session.path = j.path
	}
	if j.current.prelude { // then nothing is local to it
		j.path, j.tx.settings = j.session.path, maps.Clone(j.session.settings)
	}
}

// localEnds finds a setting that ends with its step although others follow.
func (j *judge) localEnds() {
	changes, _ := pgsql.SettingChanges(j.current.statement.Statement)
	next := slices.IndexFunc(j.parsed, func(p parsed) bool { return p.step > j.current.step })
	if j.current.prelude {
		next = slices.IndexFunc(j.parsed, func(p parsed) bool { return p.step == j.current.step && !p.prelude })
	}
	for _, c := range changes {
		if c.Local && next >= 0 && !strings.HasPrefix(c.Name, "transaction_") {
			j.report(Finding{Hazard: localSettingEnds,
				Message: fmt.Sprintf(
					"%s is set for the transaction of this step alone: line %d, and what follows, runs without it", c.Name,
					j.parsed[next].statement.Start.Line)})
		}
	}
}

// unreadMark reports, with the first statement below it, a comment that looks like the mark
// of the down migration.
func (j *judge) unreadMark() {
	mark := j.migration.UnreadMark
	if mark == nil {
		return
	}
	below := slices.IndexFunc(j.migration.Up.Statements, func(s migration.Statement) bool {
		return s.Start.Offset > mark.Position.Offset
	})
	if below >= 0 && j.migration.Up.Statements[below].Start == j.current.statement.Start {
		j.reportCertain(Finding{Hazard: unreadMark, Message: mark.Message, Start: mark.Position, End: j.out.End})
	}
}

// judge gives the verdict on a statement and applies it to the model.
func (j *judge) judge(at int) Judgement {
	j.at, j.current = at, j.parsed[at]
	s := j.current.statement
	j.out = &Judgement{Text: s.Text, Start: s.Start, End: s.End(), Step: j.current.step, Alone: j.current.alone,
		Evidence: []Evidence{}}
	if j.current.err != nil {
		j.unparsed()
	} else {
		known := j.known()
		effect := j.statement(j.current.node)
		j.unheardOf(known)
		j.context()
		j.localEnds()
		j.unreadMark()
		j.remember()
		effect()
	}
	j.finish()
	return *j.out
}

// known gives the relations that the model has, unless it has none that a statement
// made: then there is no history to speak of.
func (j *judge) known() map[*relation]bool {
	all, history := map[*relation]bool{}, false
	for _, r := range j.relations {
		all[r] = true
		history = history || !r.assumed && !j.isNew(r)
	}
	if !history {
		return nil
	}
	return all
}

// unheardOf says that the statement speaks of a table that the history does not
// make, so that it may fail, or another tool has made the table.
func (j *judge) unheardOf(known map[*relation]bool) {
	if known == nil {
		return
	}
	for _, r := range j.sorted() {
		if r.assumed && !known[r] && !r.ofCatalog() && r.name.Schema != "information_schema" {
			j.out.Opaque = true
			j.out.doubts = append(j.out.doubts, doubt{reason: "no migration makes " + r.name.String(), table: r.name.String()})
			j.because("no migration makes " + r.name.String())
		}
	}
}

// ofCatalog reports whether it is one of PostgreSQL's own, which every database has.
func (r *relation) ofCatalog() bool {
	return r.name.Schema == catalogSchema || (r.name.Schema == "" || r.name.Schema == public) &&
		strings.HasPrefix(r.name.Object, "pg_")
}

// opaque says why the text does not tell what a statement does.
func (j *judge) opaque(reason string) { j.doubt(reason, j.places...) }

// doubt is opaque for what a run of these places tells.
func (j *judge) doubt(reason string, places ...Place) {
	j.out.Opaque = true
	j.out.doubts = append(j.out.doubts, doubt{reason: reason, places: places})
	j.because(reason)
}

// untold says what neither the text nor a run tells.
func (j *judge) untold(reason string) {
	j.out.Opaque = true
	j.out.doubts = append(j.out.doubts, doubt{reason: reason, lasting: true})
	j.because(reason)
}

// because adds a reason for a statement to be safe.
func (j *judge) because(reason string) { j.evidence(FromText, reason) }

func (j *judge) evidence(source Source, reason string) {
	e := Evidence{source, reason}
	if !slices.Contains(j.out.Evidence, e) {
		j.out.Evidence = append(j.out.Evidence, e)
	}
}

// source says where what is known of a relation comes from.
func (j *judge) source(r *relation) Source {
	switch {
	case r.assumed || j.isNew(r):
		return FromText
	case r.created == 0:
		return FromCatalog
	}
	return FromHistory
}

// report adds a finding, with the place of the statement unless it has one, unless
// the configuration turns its hazard off.
func (j *judge) report(f Finding) {
	if j.conditional && f.claim.kind == claimsError {
		j.opaque("it may fail if it is run at all, which a condition decides")
		return
	}
	if f.Severity = j.options.Severities.of(f.Hazard); f.Severity == Off {
		return
	}
	if f.Verdict == "" {
		f.Verdict = Dangerous
	}
	if f.Evidence.Source == "" {
		f.Evidence.Source = FromText
	}
	f.guessed, f.places = j.guessed, j.places
	if j.maybeAbsent {
		f.Verdict, f.absent = Unknown, true
	}
	if f.Start == (migration.Position{}) {
		f.Start, f.End = j.out.Start, j.out.End
	}
	for i, allow := range j.migration.Allows {
		if allow.Hazard == f.Hazard.String() {
			f.Allowed, f.Reason = true, allow.Reason
			for len(j.allowed) <= i {
				j.allowed = append(j.allowed, false)
			}
			j.allowed[i] = true
		}
	}
	if strings.Contains(f.Rewrite, unwritten) {
		f.Rewrite = ""
	}
	f.Fixable, f.NotFixed = j.fixable(f)
	same := func(other Finding) bool { return other.Hazard == f.Hazard && other.Message == f.Message }
	if !slices.ContainsFunc(j.out.Findings, same) {
		j.out.Findings = append(j.out.Findings, f)
	}
}

// place gives the part of the file from a location of the tree to the end of the
// element that begins there: a comma or closing parenthesis outside of others.
func (j *judge) place(location int32) (start, end migration.Position) {
	text := j.out.Text
	if j.inner || location < 0 || int(location) >= len(text) {
		return j.out.Start, j.out.End
	}
	depth, stop := 0, int(location)
	for token := range pgsql.Tokens(text[location:]) {
		switch token.Text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth < 0 || depth == 0 && token.Text == "," {
			break
		}
		if token.Kind > pgsql.BlockComment {
			stop = int(location) + token.Offset + len(token.Text)
		}
	}
	at := func(offset int) migration.Position {
		return pgsql.PositionAt(j.migration.Text, j.current.statement.OffsetInFile(offset))
	}
	return at(int(location)), at(stop)
}

// unused gives the annotations that allow what was not found.
func (j *judge) unused() []migration.Allow {
	var all []migration.Allow
	for i, allow := range j.migration.Allows {
		if i >= len(j.allowed) || !j.allowed[i] {
			all = append(all, allow)
		}
	}
	return all
}

// lock notes that the statement locks a table. What nobody else can see yet does
// not count, nor do views and sequences.
func (j *judge) lock(r *relation, mode Mode) {
	if r == nil || j.maybeAbsent && r.assumed || j.isNew(r) || r.kind == view || r.kind == sequence {
		return
	}
	name := j.lockedAs(r)
	for i := range j.out.Effect.Locks {
		if j.out.Effect.Locks[i].Table == name {
			j.out.Effect.Locks[i].Mode = max(j.out.Effect.Locks[i].Mode, mode)
			return
		}
	}
	j.out.Effect.Locks = append(j.out.Effect.Locks, Lock{name, mode})
}

// lockedAs is the name of a table for locks: the one under which others know it, if
// this migration has given it another.
func (j *judge) lockedAs(r *relation) string {
	if r.renamed == j.now {
		return r.was.String()
	}
	return r.name.String()
}

// before14 reports that the servers are known to be older than PostgreSQL 14.
func (j *judge) before14() bool { return j.options.Major > 0 && j.options.Major < 14 }

// lockTree locks a table and its partitions.
func (j *judge) lockTree(r *relation, mode Mode) {
	for _, part := range r.tree() {
		j.lock(part, mode)
	}
}

func (j *judge) scan(r *relation) { j.touch(&j.out.Effect.Scans, r) }

// scanOnly notes a scan of one table without its partitions.
func (j *judge) scanOnly(r *relation) {
	if name := r.name.String(); !j.isNew(r) && !r.partitioned && !slices.Contains(j.out.Effect.Scans, name) {
		j.out.Effect.Scans = append(j.out.Effect.Scans, name)
	}
}

func (j *judge) rewrite(r *relation) { j.touch(&j.out.Effect.Rewrites, r) }

func (j *judge) touch(list *[]string, r *relation) {
	for _, part := range r.tree() {
		if name := part.name.String(); !j.isNew(part) && part.kind != view && !part.partitioned && !slices.Contains(*list,
			name) {
			*list = append(*list, name)
		}
	}
}

// few reports whether a catalog says that a table has so few rows that going
// through all of them is over in no time.
func (j *judge) few(r *relation) bool {
	total := int64(0)
	for _, part := range r.tree() {
		if part.partitioned {
			continue
		}
		if part.rows < 0 {
			return false
		}
		total += part.rows
	}
	return total < fewRows
}

// fewRows is a table that is gone through in a few milliseconds, even where it is
// rewritten.
const fewRows = 2000

// harmless reports whether whatever is done to a table hurts nobody, and notes why.
func (j *judge) harmless(r *relation) bool {
	if !j.isNew(r) {
		return false
	}
	if r.temporary {
		j.because(r.name.String() + " is a temporary table, which no other session can see")
	} else {
		j.because(r.name.String() + " was made by this migration: nobody uses it yet")
	}
	return true
}

// small is harmless for what only takes long on big tables.
func (j *judge) small(r *relation) bool {
	if !j.few(r) {
		return false
	}
	j.evidence(FromCatalog, fmt.Sprintf("%s has fewer than %d rows", r.name, fewRows))
	j.out.small = append(j.out.small, leaves(r)...)
	return true
}

// leaves gives the names of a table, or of those of its partitions that hold rows.
func leaves(r *relation) []string {
	var all []string
	for _, part := range r.tree() {
		if !part.partitioned {
			all = append(all, part.name.String())
		}
	}
	return all
}

// remember adds what the statement locks to what the transaction holds.
func (j *judge) remember() {
	for _, l := range j.out.Effect.Locks {
		for _, r := range j.relations {
			if j.lockedAs(r) == l.Table && j.tx.locks[r].mode < l.Mode {
				j.tx.locks[r] = held{l.Mode, j.at, j.command()}
			}
		}
	}
}

// command is how the statement begins, for messages.
func (j *judge) command() string {
	if c := j.parsed[j.at].statement.Command; c != "" {
		return c
	}
	return "the statement"
}

// finish orders what was found and gives the verdict.
func (j *judge) finish() {
	slices.SortFunc(j.out.Effect.Locks, func(a, b Lock) int { return strings.Compare(a.Table, b.Table) })
	slices.Sort(j.out.Effect.Scans)
	slices.Sort(j.out.Effect.Rewrites)
	slices.SortStableFunc(j.out.Findings, func(a, b Finding) int { return a.Start.Offset - b.Start.Offset })
	if len(j.out.Evidence) == 0 && len(j.out.Findings) == 0 {
		j.because(j.brief())
	}
	j.hideValues()
	j.out.settle()
}

// hideValues shows the statement as it is in the file where variables have
// values, which need not be for everyone's eyes, and must not get into the file.
func (j *judge) hideValues() {
	s := j.current.statement
	if s.Written() == s.Text {
		return
	}
	j.out.Text = s.Written()
	for i := range j.out.Findings {
		j.out.Findings[i].Rewrite, j.out.Findings[i].Fixable = "", false
	}
}

// brief says why a statement without findings is safe.
func (j *judge) brief() string {
	var locks []string
	for _, l := range j.out.Effect.Locks {
		locks = append(locks, fmt.Sprintf("%s on %s", l.Mode, l.Table))
	}
	if len(locks) == 0 {
		return "it locks no table that was there before"
	}
	if len(j.out.Effect.Scans)+len(j.out.Effect.Rewrites) > 0 {
		return "it takes " + strings.Join(locks, ", ") + ", which stops no ordinary work"
	}
	return "it takes " + strings.Join(locks, ", ") + " for a moment, without going through any rows"
}
