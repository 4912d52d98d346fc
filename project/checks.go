package project

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// Checks are the limits of the checks before production, and which of
// them stop a run. What is left away has the default of package preflight.
type Checks struct {
	MaxTransactionAge            time.Duration  `yaml:"max_transaction_age"`
	BigTable                     byteSize       `yaml:"big_table"`
	MaxBigTables                 int            `yaml:"max_big_tables"`
	FreeDisk                     *CheckSource   `yaml:"free_disk"`
	MaxConnectionsPerApplication int            `yaml:"max_connections_per_application"`
	MaxReplicaLag                time.Duration  `yaml:"max_replica_lag"`
	MaxBackupAge                 time.Duration  `yaml:"max_backup_age"`
	Backups                      []CheckSource  `yaml:"backups"`
	Windows                      []weeklyWindow `yaml:"windows"`
	TimeZone                     string         `yaml:"time_zone"`
	SpareConnections             int            `yaml:"spare_connections"`
	MaxKeyUse                    float64        `yaml:"max_key_use"`
	MaxTransactionIDAge          int64          `yaml:"max_transaction_id_age"`
	Patience                     time.Duration  `yaml:"patience"`
	Skip                         checkNames     `yaml:"skip"`
	WarnOnly                     checkNames     `yaml:"warn_only"`
	Block                        checkNames     `yaml:"block"`
}

// CheckSource is who tells of backups or of free disk.
type CheckSource struct {
	Kind    preflight.Kind `yaml:"kind"`
	Stanza  string         `yaml:"stanza"`
	Command []string       `yaml:"command"`
	Path    string         `yaml:"path"`
	Query   string         `yaml:"query"`
}

// settings are what package preflight is told.
func (c Checks) settings() preflight.Settings {
	s := preflight.Settings{
		MaxTransactionAge: c.MaxTransactionAge,
		BigTable:          int64(c.BigTable), MaxBigTables: c.MaxBigTables,
		MaxConnectionsPerApplication: c.MaxConnectionsPerApplication, MaxReplicaLag: c.MaxReplicaLag,
		MaxBackupAge: c.MaxBackupAge, TimeZone: c.TimeZone, SpareConnections: c.SpareConnections,
		MaxKeyUse: c.MaxKeyUse, MaxTransactionIDAge: c.MaxTransactionIDAge, Patience: c.Patience,
	}
	for _, source := range c.Backups {
		s.Backups = append(s.Backups, preflight.Source(source))
	}
	for _, window := range c.Windows {
		s.Windows = append(s.Windows, preflight.Window(window))
	}
	if c.FreeDisk != nil {
		source := preflight.Source(*c.FreeDisk)
		s.FreeDisk = &source
	}
	return s
}

// Checks are those before production that the file asks for. Whose database and which plan
// they are made for is the caller's to say.
func (p *Project) Checks() preflight.Options {
	c := p.File.Checks
	return preflight.Options{Table: p.Table, Settings: c.settings(), Skip: c.Skip, WarnOnly: c.WarnOnly, Block: c.Block}
}

// checkChecks refuses limits that make no sense, at their line. A limit of 0 is
// none of preflight's, for which it replaces the default.
func (c File) checkChecks() error {
	limits := reflect.ValueOf(c.Checks)
	for i := range limits.NumField() {
		key := limits.Type().Field(i).Tag.Get("yaml")
		kind := limits.Field(i).Kind()
		if at := c.at("checks", key); at != nil && limits.Field(i).IsZero() && kind != reflect.Slice &&
			kind != reflect.Pointer {
			return c.wrong(at, "write a positive value, or omit the check with skip: [NAME]", "checks.%s: 0 is no limit",
				key)
		}
	}
	var wrong *whimbrel.Error
	if err := c.Checks.settings().Check(); !errors.As(err, &wrong) {
		return err
	}
	key, _, _ := strings.Cut(wrong.Message, ":")
	return c.wrong(cmp.Or(c.at("checks", key), c.at("checks")), wrong.Remedy, "checks.%s", wrong.Message)
}

// checkNames are names of checks.
type checkNames []string

// ReadYAML implements yamlpos.Unmarshaler.
func (c *checkNames) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	r.OneOrEach(n, func(n yamlpos.Node) {
		name, _ := r.Scalar(n)
		if known := append(preflight.Names(), preflight.Everything); !slices.Contains(known, name) {
			r.Wrong(n, cmp.Or(plaintext.DidYouMean("", name, known), "the checks are "+strings.Join(known, ", ")),
				"unknown check %q",
				yamlpos.Written(n))
			return
		}
		*c = append(*c, name)
	})
}

// weeklyWindow is a time of the week, as "Mon-Fri 22:00-04:00".
type weeklyWindow preflight.Window

// ReadYAML implements yamlpos.Unmarshaler.
func (w *weeklyWindow) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	text, _ := r.Scalar(n)
	window, err := preflight.ParseWindow(text)
	if err != nil {
		r.Wrong(n, "", "%v", err)
	}
	*w = weeklyWindow(window)
}
