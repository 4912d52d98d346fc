package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ownVariables are PG* variables that libpq reads and the driver does not. They count
// where the PG* variables say which database is meant; elsewhere an address that names
// a server means that one.
var ownVariables = map[string]string{
	"hostaddr": "PGHOSTADDR", "gssencmode": "PGGSSENCMODE", "load_balance_hosts": "PGLOADBALANCEHOSTS",
	"requirepeer":              "PGREQUIREPEER",
	"ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION", "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
	"sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR",
}

// settle does what libpq does for the parameters that the driver would send to the
// server as settings.
func settle(address string, config *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	given := config.RuntimeParams
	if address == "" {
		for name, variable := range ownVariables {
			if value := os.Getenv(variable); value != "" && given[name] == "" {
				given[name] = value
			}
		}
	}
	if value := given["hostaddr"]; value != "" {
		placed, err := place(address, config, value)
		if err != nil {
			return nil, err
		}
		placed.RuntimeParams, config = given, placed
	}
	var s socket
	for _, name := range libpq {
		value, ok := given[name]
		if !ok || name == "application_name" || name == "options" || name == "client_encoding" && !strings.EqualFold(value,
			"auto") {
			continue
		}
		delete(given, name)
		if value == "" { // to libpq the same as none
			continue
		}
		if err := honour(config, &s, name, value); err != nil {
			return nil, err
		}
		if name == "fallback_application_name" && given["application_name"] == "" {
			given["application_name"] = value
		}
	}
	return config, s.applyTo(config)
}

// honour does what one parameter asks for, or refuses what cannot be done. What is not
// mentioned is left undone as by a libpq without GSSAPI and OAuth.
func honour(config *pgx.ConnConfig, s *socket, name, value string) error {
	switch name {
	case "gssencmode":
		return oneOf(name, value, "write gssencmode=prefer, and sslmode=require for encryption: whimbrel does not encrypt "+
			"by GSSAPI", "disable", "prefer", "allow")
	case "replication":
		return oneOf(name, value, "take it away: migrations need an ordinary connection", "false", "off", "no", "0")
	case "sslcrl", "sslcrldir":
		if _, err := os.Stat(value); err == nil { // libpq passes over one that is not there
			return &AddressError{"the address asks for " + name + ", and whimbrel checks no lists of revoked certificates",
				"take it away"}
		}
	case "scram_client_key", "scram_server_key":
		return &AddressError{"the address has " + name + ", by which whimbrel cannot log in",
			"give the password in its place"}
	case "load_balance_hosts":
		if value == "random" {
			shuffle(config)
			return nil
		}
		return oneOf(name, value, "", "disable", "random")
	case "ssl_min_protocol_version":
		return encrypt(config, name, value, func(c *tls.Config, version uint16) { c.MinVersion = version })
	case "ssl_max_protocol_version":
		return encrypt(config, name, value, func(c *tls.Config, version uint16) { c.MaxVersion = version })
	case "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout":
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			return &AddressError{"the address has no number behind " + name, "write a number, or take it away"}
		}
		s.set(name, n)
	case "requirepeer":
		s.peer = value
	}
	return nil
}

func oneOf(name, value, remedy string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return &AddressError{
		fmt.Sprintf("the address has an unfit value of %s", name),
		cmp.Or(remedy, "write one of "+strings.Join(values, ", ")+", or take it away"),
	}
}

// place makes the connections go to addresses, while the hosts stay what certificates
// are of.
func place(address string, config *pgx.ConnConfig, hostaddr string) (*pgx.ConnConfig, error) {
	to := strings.Split(hostaddr, ",")
	for _, one := range to {
		if _, err := netip.ParseAddr(one); err != nil {
			return nil, &AddressError{"the address has a hostaddr that is no IP address",
				"write an address as 192.0.2.7, or host with a name"}
		}
	}
	hosts := hostsOf(config)
	if slices.ContainsFunc(hosts, func(h []*pgconn.FallbackConfig) bool { return filepath.IsAbs(h[0].Host) }) ||
		len(hosts) == 1 && len(to) > 1 {
		return pgx.ParseConfig(with(address, "host", hostaddr)) // there is no name
	}
	if len(hosts) != len(to) {
		return nil, &AddressError{
			fmt.Sprintf("the address has %d hosts and %d addresses in hostaddr", len(hosts), len(to)),
			"give one for each host, or leave hostaddr away",
		}
	}
	for i, host := range hosts {
		for _, attempt := range host {
			attempt.Host = to[i]
		}
	}
	use(config, hosts)
	return config, nil
}

// hostsOf are the attempts to connect that a configuration has, by the host they are at.
func hostsOf(config *pgx.ConnConfig) (hosts [][]*pgconn.FallbackConfig) {
	all := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}},
		config.Fallbacks...)
	for i, attempt := range all {
		if i > 0 && attempt.Host == all[i-1].Host && attempt.Port == all[i-1].Port {
			hosts[len(hosts)-1] = append(hosts[len(hosts)-1], attempt)
			continue
		}
		hosts = append(hosts, []*pgconn.FallbackConfig{attempt})
	}
	return hosts
}

// use makes these the attempts.
func use(config *pgx.ConnConfig, hosts [][]*pgconn.FallbackConfig) {
	all := slices.Concat(hosts...)
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
}

func shuffle(config *pgx.ConnConfig) {
	hosts := hostsOf(config)
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	use(config, hosts)
}

// encrypt sets a bound of the versions of TLS.
func encrypt(config *pgx.ConnConfig, name, value string, bound func(*tls.Config, uint16)) error {
	versions := map[string]uint16{"tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12,
		"tlsv1.3": tls.VersionTLS13}
	version, ok := versions[strings.ToLower(value)]
	if !ok {
		return oneOf(name, value, "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
	}
	for _, attempt := range slices.Concat(hostsOf(config)...) {
		if attempt.TLSConfig != nil {
			bound(attempt.TLSConfig, version)
		}
	}
	return nil
}

// socket is what an address says of the sockets.
type socket struct {
	given       bool
	off         bool // no keepalives
	keep        net.KeepAliveConfig
	userTimeout int    // in milliseconds; 0 for the system's
	peer        string // whom a server behind a Unix socket must run as
}

func (s *socket) set(name string, n int) {
	if !s.given {
		s.given, s.keep = true, net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1} // the system's
	}
	switch {
	case name == "keepalives":
		s.off = n == 0
	case n <= 0:
	case name == "keepalives_idle":
		s.keep.Idle = time.Duration(n) * time.Second
	case name == "keepalives_interval":
		s.keep.Interval = time.Duration(n) * time.Second
	case name == "keepalives_count":
		s.keep.Count = n
	case name == "tcp_user_timeout":
		s.userTimeout = n
	}
}

func (s *socket) applyTo(config *pgx.ConnConfig) error {
	if s.given {
		config.DialFunc = s.dialer(config.ConnectTimeout).DialContext
	}
	if s.peer == "" {
		return nil
	}
	if !knowsPeers {
		return &AddressError{"the address has requirepeer, and this system does not say who a server runs as", "take it away"}
	}
	connect := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := connect(ctx, network, address)
		if err != nil || network != "unix" {
			return conn, err
		}
		if peer, err := peerOf(conn); err != nil || peer != s.peer {
			return nil, errors.Join(fmt.Errorf("requirepeer asks for a server that runs as %q, and this one runs as %q", s.peer,
				peer), err, conn.Close())
		}
		return conn, nil
	}
	return nil
}

func (s *socket) dialer(timeout time.Duration) *net.Dialer {
	dialer := &net.Dialer{Timeout: timeout, KeepAliveConfig: s.keep}
	if s.off {
		dialer.KeepAlive, dialer.KeepAliveConfig = -1, net.KeepAliveConfig{}
	}
	if s.userTimeout > 0 {
		dialer.Control = func(network, _ string, raw syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			return giveUpAfter(raw, s.userTimeout)
		}
	}
	return dialer
}
