package project

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// ProtectedAs is the name under which whimbrel.yaml protects the database of a project:
// that of the environment that was asked for, or of a protected one that has the same
// host, port and database; "" where it does not. Nothing is connected to: hosts are
// compared as they resolve. What the database says of itself, the engine asks it.
func (p *Project) ProtectedAs(ctx context.Context) string {
	if p.Database.Protected {
		return p.Database.Environment
	}
	if p.Database.Embedded {
		return ""
	}
	here, err := p.Connection, error(nil)
	if here == nil {
		here, err = dial.Parse(p.DatabaseURL)
	}
	if err != nil {
		return "" // the engine has the words for it
	}
	for _, name := range p.File.Names() {
		base := p.File.Environments[name]
		if !base.Protected || base.Embedded {
			continue
		}
		url, _, err := expandAddress(base.URL, p.options.Lookup)
		if err != nil {
			continue // this place does not know that environment's address
		}
		url, _ = dial.Unwrap(url)
		p.options.secret(url)
		if there, err := dial.Parse(url); err == nil && sameDatabase(ctx, here, there) {
			return name
		}
	}
	return ""
}

// sameDatabase reports whether two addresses lead to one database, by any of the hosts
// that they have.
func sameDatabase(ctx context.Context, a, b *pgx.ConnConfig) bool {
	if a.Database != b.Database {
		return false
	}
	for _, one := range endpoints(a) {
		for _, other := range endpoints(b) {
			if one.port == other.port && sameHost(ctx, one.host, other.host) {
				return true
			}
		}
	}
	return false
}

type endpoint struct {
	host string
	port uint16
}

func endpoints(c *pgx.ConnConfig) []endpoint {
	all := []endpoint{{c.Host, c.Port}}
	for _, f := range c.Fallbacks {
		all = append(all, endpoint{f.Host, f.Port})
	}
	slices.SortFunc(all, func(x, y endpoint) int {
		if x.port != y.port {
			return int(x.port) - int(y.port)
		}
		return strings.Compare(x.host, y.host)
	})
	return slices.Compact(all)
}

// resolvePatience is how long resolving the name of a host may take.
const resolvePatience = 3 * time.Second

// sameHost compares two hosts: names, addresses, or folders of Unix sockets, which are
// this machine. Two folders are two servers, unless they are one folder.
func sameHost(ctx context.Context, a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if isSocketFolder(a) && isSocketFolder(b) {
		one, errA := filepath.EvalSymlinks(a)
		other, errB := filepath.EvalSymlinks(b)
		return errA == nil && errB == nil && one == other
	}
	ours, theirs := addresses(ctx, a), addresses(ctx, b)
	return slices.ContainsFunc(ours, func(address netip.Addr) bool { return slices.Contains(theirs, address) })
}

func isSocketFolder(host string) bool { return filepath.IsAbs(host) || strings.HasPrefix(host, "@") }

// addresses are those of a host. Every address of this machine counts as its loopback
// as well: they may be one server.
func addresses(ctx context.Context, host string) []netip.Addr {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if isSocketFolder(host) {
		return []netip.Addr{loopback}
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	local := ownAddresses()
	for i := range found {
		found[i] = found[i].Unmap().WithZone("")
		if found[i].IsLoopback() || slices.Contains(local, found[i]) {
			found[i] = loopback
		}
	}
	return found
}

// ownAddresses are those of this machine.
func ownAddresses() (all []netip.Addr) {
	networks, _ := net.InterfaceAddrs()
	for _, network := range networks {
		if prefix, err := netip.ParsePrefix(network.String()); err == nil {
			all = append(all, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return all
}
