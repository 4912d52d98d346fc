package faults

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"time"
)

// Proxy is a network of our own between a client and a server: it listens on a
// free port of 127.0.0.1 and passes on what it gets, as slowly or as badly as it
// is told. Its methods may be called concurrently, and none of them waits for
// either side.
type Proxy struct {
	listener net.Listener
	network  string // of the server: "tcp" or "unix"
	address  string
	quit     chan struct{} // closed by Close
	running  sync.WaitGroup

	mutex   sync.Mutex
	delay   time.Duration
	silence chan struct{} // closed by Heal; nil while everything is passed on
	links   map[*link]struct{}
	cancels Cancels
}

// Cancels counts requests to cancel a statement; see "Canceling Requests in
// Progress" in PostgreSQL's documentation of its protocol.
type Cancels struct {
	Sent   int // all of them
	CutOff int // whose client went away without waiting for the server to close
}

// link is one client with its connection to the server. The server's side is
// nil until the server was reached.
type link struct {
	client, server net.Conn
	first          []byte // what the client sent first, up to a few bytes
	answered       bool   // the server has closed its side, and the client has that
}

// asksToCancel reports whether a client's first message is a CancelRequest.
func (l *link) asksToCancel() bool {
	return len(l.first) == 8 && binary.BigEndian.Uint32(l.first[4:]) == 80877102
}

// Listen starts a proxy in front of a server; network and address are those of
// net.Dial. It runs until Close.
func Listen(network, address string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &Proxy{listener: listener, network: network, address: address, quit: make(chan struct{}),
		links: map[*link]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// InFrontOf starts a proxy in front of the PostgreSQL server that a URL names,
// be it by a host and port or by the folder of a Unix socket, and gives the URL
// that leads through the proxy.
func InFrontOf(database string) (p *Proxy, through string, err error) {
	u, err := url.Parse(database)
	if err != nil {
		return nil, "", errors.New("starting a proxy: the database's URL cannot be read") // it may hold a password
	}
	network, address := "tcp", u.Host
	query := u.Query()
	if folder := query.Get("host"); filepath.IsAbs(folder) {
		network, address = "unix", filepath.Join(folder, ".s.PGSQL."+cmp.Or(query.Get("port"), "5432"))
	}
	p, err = Listen(network, address)
	if err != nil {
		return nil, "", err
	}
	query.Del("host")
	query.Del("port")
	query.Set("sslmode", "disable") // what is encrypted end to end could be passed on as well, but not by this name
	u.Host, u.RawQuery = p.Address(), query.Encode()
	return p, u.String(), nil
}

// Address is where the proxy listens, as host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Port is the port on which the proxy listens.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Delay makes everything that arrives from now on take this much longer, in
// each direction: a round trip takes twice as long. The order is kept, and the
// rate is not limited.
func (p *Proxy) Delay(oneWay time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.delay = oneWay
}

// Cut closes the connections that there are, on both sides and in good order,
// as a proxy that restarts would. New ones are served.
func (p *Proxy) Cut() { p.end(func(net.Conn) {}) }

// Reset breaks the connections that there are, so that both sides get
// "connection reset by peer". New ones are served.
func (p *Proxy) Reset() {
	p.end(func(side net.Conn) {
		if tcp, ok := side.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // closing then sends RST instead of FIN
		}
	})
}

// BlackHole passes nothing on from now on, in either direction, not even that a
// side has gone. The sockets stay open, and new connections are accepted and
// get no answer.
func (p *Proxy) BlackHole() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.silence == nil {
		p.silence = make(chan struct{})
	}
}

// Heal ends a BlackHole: what was held back is passed on, as the network would
// send it again.
func (p *Proxy) Heal() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.silence != nil {
		close(p.silence)
		p.silence = nil
	}
}

// Connections is how many clients are connected.
func (p *Proxy) Connections() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.links)
}

// Cancels gives the requests to cancel a statement that came through so far, but for
// those that were encrypted.
func (p *Proxy) Cancels() Cancels {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.cancels
}

// Close ends the proxy with all connections, and returns when nothing of it
// runs any more. It is called once.
func (p *Proxy) Close() error {
	close(p.quit)
	err := p.listener.Close()
	p.Cut()
	p.running.Wait()
	return err
}

func (p *Proxy) end(prepare func(net.Conn)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for l := range p.links {
		for _, side := range []net.Conn{l.client, l.server} {
			if side != nil {
				prepare(side)
				_ = side.Close()
			}
		}
		delete(p.links, l)
	}
}

// accept serves clients until the listener is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		l := &link{client: client}
		p.mutex.Lock()
		p.links[l] = struct{}{}
		p.mutex.Unlock()
		p.running.Go(func() { p.serve(l) })
	}
}

// serve connects a client with the server, and returns when both are done.
func (p *Proxy) serve(l *link) {
	defer func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		delete(p.links, l)
		_ = l.client.Close()
		if l.server != nil {
			_ = l.server.Close()
		}
	}()
	if !p.hearing() {
		return
	}
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		return // the client sees a closed connection
	}
	if !p.join(l, server) {
		_ = server.Close()
		return
	}
	var directions sync.WaitGroup
	directions.Go(func() { p.pass(l.client, server, func(sent []byte) { p.noteSent(l, sent) }) })
	directions.Go(func() { p.pass(server, l.client, func([]byte) {}) })
	directions.Wait()
}

// join completes a link, unless it was ended in the meantime.
func (p *Proxy) join(l *link, server net.Conn) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if _, alive := p.links[l]; !alive {
		return false
	}
	select {
	case <-p.quit:
		return false
	default:
	}
	l.server = server
	return true
}

// parcel is what was read at once, and when it is to arrive; no bytes mean that
// the sender has closed its side.
type parcel struct {
	bytes []byte
	due   time.Time
}

// underWay is how many parcels can be under way in one direction; further ones
// wait with the sender.
const underWay = 4096

// noteSent counts what a client asks to cancel. Nothing was sent where it has gone.
func (p *Proxy) noteSent(l *link, sent []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if counted := l.asksToCancel(); counted && len(sent) == 0 && !l.answered {
		p.cancels.CutOff++
	} else if !counted {
		l.first = append(l.first, sent[:min(len(sent), 8-len(l.first))]...)
		if l.asksToCancel() {
			p.cancels.Sent++
		}
	}
}

// noteAnswered notes that a client has what the server sent last.
func (p *Proxy) noteAnswered(client net.Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for l := range p.links {
		l.answered = l.answered || l.client == client
	}
}

// pass carries what one side sends to the other, and notes it first.
func (p *Proxy) pass(from, to net.Conn, note func(sent []byte)) {
	parcels := make(chan parcel, underWay)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(parcels)
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			due := time.Now().Add(p.lag())
			if n > 0 {
				note(buffer[:n])
				parcels <- parcel{append([]byte(nil), buffer[:n]...), due}
			}
			if err != nil {
				note(nil)
				parcels <- parcel{nil, due}
				return
			}
		}
	})
	for next := range parcels {
		p.deliver(next, to)
	}
	reading.Wait()
}

// deliver hands a parcel over when it is due and nothing swallows it. That the
// other side has gone is left to the sender to find out.
func (p *Proxy) deliver(next parcel, to net.Conn) {
	if wait := time.Until(next.due); wait > 0 && !p.sleep(wait) {
		return
	}
	if !p.hearing() {
		return
	}
	if len(next.bytes) > 0 {
		_, _ = to.Write(next.bytes)
		return
	}
	p.noteAnswered(to)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (p *Proxy) lag() time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.delay
}

func (p *Proxy) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.quit:
		return false
	}
}

// hearing waits while there is a black hole; false means that the proxy ends.
func (p *Proxy) hearing() bool {
	for {
		p.mutex.Lock()
		silence := p.silence
		p.mutex.Unlock()
		if silence == nil {
			return true
		}
		select {
		case <-silence:
		case <-p.quit:
			return false
		}
	}
}

// WaitForConnections returns once so many clients are connected.
func (p *Proxy) WaitForConnections(ctx context.Context, count int) error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for p.Connections() != count {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d connections: %w", count, ctx.Err())
		case <-poll.C:
		}
	}
	return nil
}
