package httpapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// SparePlaces are connections beyond Options.MaxConnections, of each address. They get an answer about health, and 503
	// for everything else.
	SparePlaces = 16

	// crowdedPlaces are the spare places that clients may use that have all they may have of the others.
	crowdedPlaces = SparePlaces / 2

	// spareTime is how long a spare connection may last.
	spareTime = 5 * time.Second

	// quietTime is how long a connection must have been quiet before it is closed to make room. Within that time a client
	// that has just connected sends its request.
	quietTime = time.Second

	// placePause is the longest pause between two looks for room, and between two tries without a file descriptor.
	placePause = 250 * time.Millisecond
)

// places bounds the connections of an address. When all places are in use, a new connection takes the place of the one
// that has been quiet longest: between two requests, or before its first one. When none is quiet it gets a spare place.
// No client address may have more than perClient places, apart from those that are exempt. Running out of file
// descriptors is no error: Accept waits.
type places struct {
	net.Listener

	limit     int
	perClient int
	exempt    func(netip.Addr) bool
	shortage  *Shortage

	serving context.Context // of all connections; ends with cutOff
	cutOff  context.CancelFunc

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	freed     chan struct{} // a token: a place became free

	mu      sync.Mutex
	taken   int // of limit
	spare   int // of SparePlaces
	clients map[netip.Prefix]int
	quiet   list.List // of *placed, the longest quiet first
	parted  list.List // of *placed whose client has closed its sending half, the first one first
}

// placed is a connection in a place.
type placed struct {
	net.Conn
	presence

	places *places
	client netip.Prefix // invalid: it does not count
	spare  bool
	once   sync.Once
	expiry *time.Timer // of a spare one

	element *list.Element // guarded by places.mu; nil while it is busy
	since   time.Time     // when it became quiet
	parting *list.Element // guarded by places.mu; nil unless it is in places.parted

	halfClosed bool // guarded by places.mu
}

func newPlaces(l net.Listener, limit int, exempt func(netip.Addr) bool, shortage *Shortage) *places {
	serving, cutOff := context.WithCancel(context.Background())
	return &places{
		Listener: l, limit: limit, perClient: max(limit/2, 1), exempt: exempt, shortage: shortage,
		serving: serving, cutOff: cutOff,
		closing: make(chan struct{}), freed: make(chan struct{}, 1), clients: make(map[netip.Prefix]int),
	}
}

// Accept blocks until there is a connection and a place for it.
func (p *places) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		switch {
		case err == nil:
			if placed, err := p.seat(conn); placed != nil || err != nil {
				return placed, err
			}
			continue
		case !outOfDescriptors(err):
			return nil, err
		}
		p.shortage.note("out of file descriptors: new connections wait")
		p.makeRoom(false, netip.Prefix{})
		if !p.pause() {
			return nil, net.ErrClosed
		}
	}
}

// outOfDescriptors reports whether the process or the machine has no descriptor or memory for another connection.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// Close stops listening.
func (p *places) Close() error {
	p.closeOnce.Do(func() { close(p.closing) })
	return p.Listener.Close()
}

// pause blocks until a place becomes free, but not longer than placePause. It returns false after Close.
func (p *places) pause() bool {
	timer := time.NewTimer(placePause)
	defer timer.Stop()
	select {
	case <-p.freed:
		return true
	case <-timer.C:
		return true
	case <-p.closing:
		return false
	}
}

// seat blocks until there is a place for a connection. One of a client that has all it may have does not wait, because
// other clients would wait behind it: it is closed, and seat returns nil.
func (p *places) seat(conn net.Conn) (net.Conn, error) {
	placed := &placed{Conn: conn, places: p}
	if address := parseAddress(conn.RemoteAddr().String()); !p.exempt(address) {
		placed.client = network(address)
	}
	for {
		crowd := p.crowded(placed.client)
		if p.reserve(placed) || p.makeRoom(false, crowd) && p.reserve(placed) {
			return placed, nil
		}
		if crowd.IsValid() {
			p.shortage.note("one client uses half of all connections: its new ones get 503")
		} else {
			p.shortage.note("all connections are in use: new ones get 503")
		}
		spares := SparePlaces
		if crowd.IsValid() {
			spares = crowdedPlaces
		}
		if p.reserveSpare(placed, spares) || p.makeRoom(true, crowd) && p.reserveSpare(placed, spares) {
			return placed, nil
		}
		if crowd.IsValid() {
			_ = conn.Close() // nothing was read from it
			return nil, nil  //nolint:nilnil // as documented
		}
		if !p.pause() {
			return nil, errors.Join(net.ErrClosed, conn.Close())
		}
	}
}

// reserve gives a connection a place, if there is one for its client.
func (p *places) reserve(c *placed) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit || c.client.IsValid() && p.clients[c.client] >= p.perClient {
		return false
	}
	c.presence = newPresence(p.serving)
	p.taken++
	if c.client.IsValid() {
		p.clients[c.client]++
	}
	return true
}

// reserveSpare reserves a spare place for a connection if fewer than spares are in use, and reports whether it did.
func (p *places) reserveSpare(c *placed, spares int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare >= spares {
		return false
	}
	c.presence = newPresence(p.serving)
	p.spare++
	c.spare = true
	c.expiry = time.AfterFunc(spareTime, func() { _ = c.Close() })
	return true
}

// crowded returns the client if it has all the places it may have, and otherwise the zero Prefix.
func (p *places) crowded(client netip.Prefix) netip.Prefix {
	p.mu.Lock()
	defer p.mu.Unlock()
	if client.IsValid() && p.clients[client] >= p.perClient {
		return client
	}
	return netip.Prefix{}
}

// makeRoom closes the connection that has been quiet longest, of the spare ones or the others, and of one client or,
// with the zero Prefix, of all. It reports whether there was one.
func (p *places) makeRoom(spare bool, client netip.Prefix) bool {
	c := p.longestQuiet(spare, client)
	if c == nil {
		return false
	}
	_ = c.Close() // only the descriptor matters
	return true
}

func (p *places) longestQuiet(spare bool, client netip.Prefix) *placed {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.quiet.Front(); e != nil; e = e.Next() {
		c, _ := e.Value.(*placed)
		if time.Since(c.since) < quietTime {
			return nil
		}
		if c.spare == spare && (!client.IsValid() || c.client == client) {
			return c
		}
	}
	return nil
}

// placeOf returns the place of a connection of the server, which may be one of TLS in a place; nil: it has none.
func placeOf(conn net.Conn) *placed {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*placed)
	return c
}

// note is the ConnState of the server.
func (p *places) note(conn net.Conn, state http.ConnState) {
	c := placeOf(conn)
	if c == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(c)
	if state == http.StateNew || state == http.StateIdle {
		c.since = time.Now()
		c.element = p.quiet.PushBack(c)
	}
}

// unlist takes a connection off the quiet ones. Called with mu held.
func (p *places) unlist(c *placed) {
	if c.element != nil {
		p.quiet.Remove(c.element)
		c.element = nil
	}
}

// part notes that the client has closed its sending half. It may have left, so at most a quarter of all places wait for
// such clients: the one that did it first gets its answer now, even if that is only a 202.
func (p *places) part(c *placed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.halfClosed || c.here.Err() != nil { // net/http reads once more after the answer, or has closed the connection
		return
	}
	c.halfClosed = true
	c.parting = p.parted.PushBack(c)
	if p.parted.Len() > max(p.limit/4, 1) {
		if first, ok := p.parted.Front().Value.(*placed); ok {
			p.forgetParting(first)
			first.hasten()
		}
	}
}

// forgetParting takes a connection off the parted ones. Called with mu held.
func (p *places) forgetParting(c *placed) {
	if c.parting != nil {
		p.parted.Remove(c.parting)
		c.parting = nil
	}
}

// Close closes the connection and frees its place.
func (c *placed) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.places.vacate(c) })
	return err
}

// vacate frees the place of a connection that is closed.
func (p *places) vacate(c *placed) {
	c.leave()
	c.hasten() // nobody waits any more; it frees the context
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(c)
	p.forgetParting(c)
	if c.spare {
		p.spare--
		c.expiry.Stop()
	} else {
		p.taken--
		if c.client.IsValid() {
			if p.clients[c.client]--; p.clients[c.client] == 0 {
				delete(p.clients, c.client)
			}
		}
	}
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// onSpare reports whether a request came on a spare connection.
func onSpare(r *http.Request) bool {
	c := connectionOf(r)
	return c != nil && c.spare
}
