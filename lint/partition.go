package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// attachCommand finds that the rows of what becomes a partition are read, to see
// whether they belong there, and those of the default partition.
func (j *judge) attachCommand(r *relation, cmd *ast.AlterTableCmd) {
	s := cmd.Def.GetPartitionCmd()
	part := j.relation(s.Name)
	j.lockTree(part, AccessExclusive)
	if d := r.defaultPartition(); d != nil && d != part && !j.isNew(d) && s.Bound != nil && !s.Bound.IsDefault {
		j.lock(d, AccessExclusive)
		j.scan(d)
		switch {
		case j.excluded(d, r, s.Bound):
			j.evidence(j.source(d), fmt.Sprintf("a valid constraint says that %s has no row for the new partition", d.name))
		case !j.small(d):
			j.report(Finding{Hazard: attachPartitionScansDefault, claim: claim{claimsScan, leaves(d)},
				Evidence: Evidence{j.source(d), d.name.String() + " is the default partition"},
				Message:  fmt.Sprintf("nobody can read or write the default partition %s while all its rows are read", d.name),
				Rewrite:  j.excludeFirst(d, r, s.Bound)})
		}
	}
	if j.isNew(part) || s.Bound == nil {
		j.because(part.name.String() + " is new")
		return
	}
	j.scan(part)
	if j.implied(part, r, s.Bound) {
		j.evidence(j.source(part), fmt.Sprintf("a valid constraint of %s says that all its rows belong there, so that none "+
			"is read", part.name))
		return
	}
	if j.small(part) {
		return
	}
	rewrite := ""
	if check := j.boundCheck(r, s.Bound); check != "" && j.cannotStep() == "" {
		name := quoted(j.chosen(part, "", "bounds", j.constraintTaken(part.name.Schema)))
		rewrite = eachAlone + strings.Join([]string{j.alterTo(part, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s) NOT VALID",
			name, check)),
			j.alterTo(part, "VALIDATE CONSTRAINT "+name), j.out.Text + ";", j.alterTo(part, "DROP CONSTRAINT "+name)}, "\n")
	}
	j.report(Finding{Hazard: attachPartitionScan, claim: claim{claimsScan, leaves(part)}, Evidence: j.wasThere(part),
		Rewrite: rewrite,
		Message: fmt.Sprintf("nobody can read or write %s while all its rows are read", part.name)})
}

func (m *model) attachOf(r *relation, cmd *ast.AlterTableCmd) {
	m.inherit(m.relation(cmd.Def.GetPartitionCmd().GetName()), r, cmd.Def.GetPartitionCmd().GetBound())
}

func (j *judge) detachCommand(r *relation, cmd *ast.AlterTableCmd) {
	s := cmd.Def.GetPartitionCmd()
	part := j.relation(s.Name)
	d := r.defaultPartition()
	if s.Concurrent {
		j.lock(part, ShareUpdateExclusive)
		if d != nil {
			j.report(Finding{Hazard: detachConcurrentlyWithDefault, claim: claim{kind: claimsError},
				Evidence: Evidence{j.source(d), d.name.String() + " is the default partition"},
				Message:  fmt.Sprintf("%s has a default partition: the server refuses to detach concurrently", r.name),
				Rewrite:  without(j.out.Text, "CONCURRENTLY") + "; -- with a short lock_timeout"})
			return
		}
		j.because("readers and writers go on")
		return
	}
	if j.before14() {
		j.lock(part, ShareUpdateExclusive)
	} else {
		j.lockTree(part, AccessExclusive)
	}
	j.lock(d, AccessExclusive)
	if j.harmless(part) {
		return
	}
	rewrite, why := j.detachSlowly(r, part)
	f := Finding{Hazard: detachPartitionNotConcurrent, NotFixed: why, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("nobody can read or write %s, with all its partitions, until the transaction ends", r.name)}
	if d == nil {
		f.Rewrite = rewrite
	} else {
		f.NotFixed = d.name.String() + " is a default partition, with which a partition cannot be detached concurrently"
	}
	j.report(f)
}

// detachSlowly detaches a partition beside the traffic. The server leaves it a CHECK of
// its bounds then, which a plain DETACH does not.
func (j *judge) detachSlowly(r, part *relation) (rewrite, why string) {
	if why := j.cannotStep(); why != "" {
		return "", why
	}
	rewrite = spotsOf(j.out.Text).append(" CONCURRENTLY") + ";"
	if part.bound == nil || part.assumed || len(r.partitionKey) != 1 || r.partitionKey[0] == "" ||
		r.strategy == ast.PartitionStrategy_PARTITION_STRATEGY_HASH ||
		j.implied(part, r, part.bound) {
		return rewrite, "it leaves the table a constraint of the partition's bounds, whose name is not known"
	}
	name := j.chosen(part, r.partitionKey[0], "check", j.constraintTaken(part.name.Schema))
	return rewrite + "\n" + j.alterTo(part, "DROP CONSTRAINT "+quoted(name)), ""
}

func (m *model) detachOf(_ *relation, cmd *ast.AlterTableCmd) {
	m.detach(m.relation(cmd.Def.GetPartitionCmd().GetName()))
}

func (m *model) detach(p *relation) {
	if p.parent == nil {
		return
	}
	p.parent.partitions = slices.DeleteFunc(p.parent.partitions, func(other *relation) bool { return other == p })
	p.parent, p.bound = nil, nil
}
