package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// checkSettings are the limits of the checks before production, and which of
// them stop a run. What is left away has the default of package preflight.
type checkSettings struct {
	MaxTransactionAge            duration       `yaml:"max_transaction_age"`
	BigTable                     byteSize       `yaml:"big_table"`
	MaxBigTables                 int            `yaml:"max_big_tables"`
	FreeDisk                     *checkSource   `yaml:"free_disk"`
	MaxConnectionsPerApplication int            `yaml:"max_connections_per_application"`
	MaxReplicaLag                duration       `yaml:"max_replica_lag"`
	MaxBackupAge                 duration       `yaml:"max_backup_age"`
	Backups                      []checkSource  `yaml:"backups"`
	Windows                      []weeklyWindow `yaml:"windows"`
	TimeZone                     string         `yaml:"time_zone"`
	SpareConnections             int            `yaml:"spare_connections"`
	MaxKeyUse                    float64        `yaml:"max_key_use"`
	MaxTransactionIDAge          int64          `yaml:"max_transaction_id_age"`
	Patience                     duration       `yaml:"patience"`
	Skip                         checkNames     `yaml:"skip"`
	WarnOnly                     checkNames     `yaml:"warn_only"`
	Block                        checkNames     `yaml:"block"`
}

// checkSource is who tells of backups or of free disk.
type checkSource struct {
	Kind    preflight.Kind `yaml:"kind"`
	Stanza  string         `yaml:"stanza"`
	Command []string       `yaml:"command"`
	Path    string         `yaml:"path"`
	Query   string         `yaml:"query"`
}

// settings are what package preflight is told.
func (c checkSettings) settings() preflight.Settings {
	s := preflight.Settings{
		MaxTransactionAge: time.Duration(c.MaxTransactionAge),
		BigTable:          int64(c.BigTable), MaxBigTables: c.MaxBigTables,
		MaxConnectionsPerApplication: c.MaxConnectionsPerApplication, MaxReplicaLag: time.Duration(c.MaxReplicaLag),
		MaxBackupAge: time.Duration(c.MaxBackupAge), TimeZone: c.TimeZone, SpareConnections: c.SpareConnections,
		MaxKeyUse: c.MaxKeyUse, MaxTransactionIDAge: c.MaxTransactionIDAge, Patience: time.Duration(c.Patience),
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

// checkChecks refuses limits that make no sense, at their line. A limit of 0 is
// none of preflight's, for which it replaces the default.
func (c config) checkChecks() error {
	limits := reflect.ValueOf(c.Checks)
	for i := range limits.NumField() {
		key := limits.Type().Field(i).Tag.Get("yaml")
		kind := limits.Field(i).Kind()
		if at := c.token("checks", key); at != nil && limits.Field(i).IsZero() && kind != reflect.Slice &&
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
	return c.wrong(cmp.Or(c.token("checks", key), c.token("checks")), wrong.Remedy, "checks.%s", wrong.Message)
}

// checkNames are names of checks.
type checkNames []string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (c *checkNames) UnmarshalYAML(node ast.Node) error {
	nodes := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	*c = nil
	for _, n := range nodes {
		name := n.GetToken().Value
		if known := append(preflight.Names(), preflight.Everything); !slices.Contains(known, name) {
			remedy := didYouMean("", name, known)
			if remedy == "" {
				remedy = "the checks are " + strings.Join(known, ", ")
			}
			return &yaml.SyntaxError{Message: fmt.Sprintf("unknown check %q; %s", name, remedy), Token: n.GetToken()}
		}
		*c = append(*c, name)
	}
	return nil
}

// weeklyWindow is a time of the week, as "Mon-Fri 22:00-04:00".
type weeklyWindow preflight.Window

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (w *weeklyWindow) UnmarshalYAML(node ast.Node) error {
	window, err := preflight.ParseWindow(node.GetToken().Value)
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	*w = weeklyWindow(window)
	return nil
}
