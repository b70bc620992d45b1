package testkit

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FaultProxy is a network between clients and a server, on the loopback interface, that can be made bad. What is set
// holds for connections that are open too. It is safe for concurrent use.
type FaultProxy struct {
	Address string // host:port, in place of the server's

	tb       testing.TB
	server   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]struct{} // of clients and of the server
	latency time.Duration
	silent  bool
	resume  chan struct{} // closed at the end of silence
	cutIn   int           // bytes of answers until the connection that carries them is cut; 0: it is not
	closed  bool
}

// StartFaultProxy starts a proxy in front of the server at host:port. It ends with the test.
func StartFaultProxy(tb testing.TB, server string) *FaultProxy {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &FaultProxy{
		Address: listener.Addr().String(), tb: tb, server: server, listener: listener,
		open: make(map[net.Conn]struct{}), resume: make(chan struct{}),
	}
	close(p.resume)
	p.running.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

func (p *FaultProxy) close() {
	p.SetSilent(false)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Reset()
	p.running.Wait()
}

// SetLatency delays everything that goes either way.
func (p *FaultProxy) SetLatency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// SetSilent makes connections half-open: they are accepted, and stay open, but nothing comes through until it ends.
func (p *FaultProxy) SetSilent(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case silent && !p.silent:
		p.resume = make(chan struct{})
	case !silent && p.silent:
		close(p.resume)
	}
	p.silent = silent
}

// Reset ends all connections with a reset, as a machine does that was restarted. New ones are accepted.
func (p *FaultProxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		reset(conn)
		delete(p.open, conn)
	}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // Close resets then
	}
	_ = conn.Close()
}

// CutAfter closes the connection that carries the n-th byte of answers from now on, right behind that. It does so once.
func (p *FaultProxy) CutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutIn = n
}

// Cut reports whether CutAfter has done its work.
func (p *FaultProxy) Cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cutIn == 0
}

func (p *FaultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // it was closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve carries one connection until the client or the server ends it.
func (p *FaultProxy) serve(client net.Conn) {
	dialing, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	server, err := (&net.Dialer{}).DialContext(dialing, "tcp", p.server)
	if err != nil {
		reset(client)
		return
	}
	if !p.keep(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, func(data []byte) ([]byte, bool) { return data, false }) })
	both.Go(func() { p.carry(client, server, p.shorten) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, client)
	delete(p.open, server)
}

// keep notes the connections that Reset ends; false when the proxy has ended.
func (p *FaultProxy) keep(both ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range both {
		if p.closed {
			reset(conn)
			continue
		}
		p.open[conn] = struct{}{}
	}
	return !p.closed
}

// carry copies one way. Limit says what goes through, and whether the connection ends there.
func (p *FaultProxy) carry(to, from net.Conn, limit func(data []byte) ([]byte, bool)) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.hold()
		data, cut := limit(buffer[:n])
		if _, failed := to.Write(data); failed != nil || err != nil || cut {
			return
		}
	}
}

// hold waits for as long as what was read is not to go on.
func (p *FaultProxy) hold() {
	p.mu.Lock()
	latency, resume := p.latency, p.resume
	p.mu.Unlock()
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		<-timer.C
	}
	<-resume
}

// shorten returns what of an answer goes through before the cut.
func (p *FaultProxy) shorten(data []byte) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutIn == 0 || len(data) == 0 {
		return data, false
	}
	if len(data) < p.cutIn {
		p.cutIn -= len(data)
		return data, false
	}
	data = data[:p.cutIn]
	p.cutIn = 0
	return data, true
}
