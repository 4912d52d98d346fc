package preflight

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/whimbrel-db/whimbrel"
)

// Settings are the limits of the checks. Fields that are zero take the
// values of Defaults.
type Settings struct {
	// MaxTransactionAge is how long a query or a transaction may have been open.
	MaxTransactionAge time.Duration `yaml:"max_transaction_age" json:"max_transaction_age"`
	// BigTable is the size in bytes from which a table counts as big, and
	// MaxBigTables how many of those there may be; MaxBigTables - 1 pass.
	BigTable     int64 `yaml:"big_table" json:"big_table"`
	MaxBigTables int   `yaml:"max_big_tables" json:"max_big_tables"`
	// FreeDisk tells how many bytes are free where the data lies, since SQL cannot:
	// a query or a command. Nil leaves that open.
	FreeDisk *Source `yaml:"free_disk" json:"free_disk,omitempty"`
	// MaxConnectionsPerApplication is how many active connections an application
	// may have.
	MaxConnectionsPerApplication int `yaml:"max_connections_per_application" json:"max_connections_per_application"`
	// MaxReplicaLag is how far a replica may be behind.
	MaxReplicaLag time.Duration `yaml:"max_replica_lag" json:"max_replica_lag"`
	// MaxBackupAge is how old the newest backup may be, and Backups who is asked
	// for it, in this order: the first that can tell is believed.
	MaxBackupAge time.Duration `yaml:"max_backup_age" json:"max_backup_age"`
	Backups      []Source      `yaml:"backups" json:"backups"`
	// Windows are the times for migrations, in the zone of TimeZone ("UTC",
	// "Europe/Berlin").
	Windows  []Window `yaml:"windows" json:"windows"`
	TimeZone string   `yaml:"time_zone" json:"time_zone"`
	// SpareConnections are those that must be left beside what a run takes.
	SpareConnections int `yaml:"spare_connections" json:"spare_connections"`
	// MaxKeyUse is the part of a sequence or of an integer key, in percent, that
	// may be used up.
	MaxKeyUse float64 `yaml:"max_key_use" json:"max_key_use"`
	// MaxTransactionIDAge is the age of the oldest unfrozen transaction id, in
	// transactions. The server refuses writes shortly before 2^31.
	MaxTransactionIDAge int64 `yaml:"max_transaction_id_age" json:"max_transaction_id_age"`
	// Patience is how long one check may take on the server, and a command of
	// Backups or FreeDisk.
	Patience time.Duration `yaml:"patience" json:"patience"`
}

// Defaults gives the settings that hold where nothing else is said.
func Defaults() Settings {
	return Settings{
		MaxTransactionAge: 5 * time.Minute,
		BigTable:          1 << 30, MaxBigTables: 5,
		MaxConnectionsPerApplication: 10, MaxReplicaLag: time.Minute,
		MaxBackupAge: 24 * time.Hour, Backups: []Source{{Kind: Archiver}},
		Windows: []Window{
			{Days: []time.Weekday{time.Saturday, time.Sunday}, From: 2 * time.Hour, To: 6 * time.Hour},
			{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}, From: 3 * time.Hour,
				To: 5 * time.Hour},
		},
		TimeZone: "UTC", SpareConnections: 5, MaxKeyUse: 80, MaxTransactionIDAge: 1_000_000_000, Patience: 15 * time.Second,
	}
}

func (s Settings) withDefaults() Settings {
	d := Defaults()
	s.MaxTransactionAge = cmp.Or(s.MaxTransactionAge, d.MaxTransactionAge)
	s.BigTable, s.MaxBigTables = cmp.Or(s.BigTable, d.BigTable), cmp.Or(s.MaxBigTables, d.MaxBigTables)
	s.MaxConnectionsPerApplication = cmp.Or(s.MaxConnectionsPerApplication, d.MaxConnectionsPerApplication)
	s.MaxReplicaLag, s.MaxBackupAge = cmp.Or(s.MaxReplicaLag, d.MaxReplicaLag), cmp.Or(s.MaxBackupAge, d.MaxBackupAge)
	if s.Backups == nil {
		s.Backups = d.Backups
	}
	if s.Windows == nil {
		s.Windows = d.Windows
	}
	s.TimeZone = cmp.Or(s.TimeZone, d.TimeZone)
	s.SpareConnections = cmp.Or(s.SpareConnections, d.SpareConnections)
	s.MaxKeyUse, s.MaxTransactionIDAge = cmp.Or(s.MaxKeyUse, d.MaxKeyUse), cmp.Or(s.MaxTransactionIDAge,
		d.MaxTransactionIDAge)
	s.Patience = cmp.Or(s.Patience, d.Patience)
	return s
}

// Check refuses values that make no sense, as an *whimbrel.Error whose message
// begins with the setting's name.
func (s Settings) Check() error {
	s = s.withDefaults()
	wrong := func(remedy, format string, args ...any) error {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	for name, value := range map[string]float64{
		"max_transaction_age": float64(s.MaxTransactionAge), "big_table": float64(s.BigTable),
		"max_big_tables":                  float64(s.MaxBigTables),
		"max_connections_per_application": float64(s.MaxConnectionsPerApplication),
		"max_replica_lag":                 float64(s.MaxReplicaLag),
		"max_backup_age":                  float64(s.MaxBackupAge), "spare_connections": float64(s.SpareConnections),
		"max_key_use":            s.MaxKeyUse,
		"max_transaction_id_age": float64(s.MaxTransactionIDAge), "patience": float64(s.Patience),
	} {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return wrong("omit it for the default, or write a positive value", "%s: invalid number %v", name, value)
		}
		if value < 0 {
			return wrong("omit it for the default, or write a positive value", "%s: must not be negative", name)
		}
	}
	if s.Patience > whimbrel.LongestStall {
		return wrong(fmt.Sprintf("write at most %s", whimbrel.LongestStall),
			"patience: the server cannot be told to wait for %s", s.Patience)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		return wrong("write a name of the tz database, as in UTC or Europe/Berlin", "time_zone: unknown time zone %q",
			s.TimeZone)
	}
	for _, w := range s.Windows {
		if err := w.check(); err != nil {
			return wrong(`write days and hours, as in "Mon-Fri 22:00-04:00"`, "windows: %v", err)
		}
	}
	for _, source := range s.Backups {
		if err := source.check(); err != nil {
			return wrong("see the documentation of backup_status", "backups: %v", err)
		}
	}
	if s.FreeDisk != nil {
		if s.FreeDisk.Kind != Query && s.FreeDisk.Kind != Command {
			return wrong("write a query or a command that gives a number of bytes", "free_disk: %q cannot tell", s.FreeDisk.Kind)
		}
		if err := s.FreeDisk.check(); err != nil {
			return wrong("write a query or a command that gives a number of bytes", "free_disk: %v", err)
		}
	}
	return nil
}
