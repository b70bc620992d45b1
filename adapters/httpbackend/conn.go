package httpbackend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// conn is a connection to a backend, below TLS where there is TLS. It knows what net/http does not tell: whether
// anything was written, and whether somebody waits for the next byte. Reads are for one goroutine at a time, and so
// are writes.
type conn struct {
	net.Conn

	secure  bool // TLS runs on top of it
	written atomic.Int64
	broken  bool // for the writer alone: nothing can be written any more

	mu      sync.Mutex
	reading bool
	closed  bool
	changed chan struct{} // closed when one of the two changes; nil while nobody waits for that
}

// Read reads what the backend sends.
//
// Where a connection under TLS just ends, its reader gets an error: between two records crypto/tls would take that for
// a proper end, but whoever can cut a connection can do so. After a closure alert TLS reads no further. So a response
// that only the end of its connection delimits is complete with the alert alone (RFC 9112 section 9.8).
func (c *conn) Read(p []byte) (int, error) {
	c.note(&c.reading, true)
	n, err := c.Conn.Read(p)
	c.note(&c.reading, false)
	if c.secure && errors.Is(err, io.EOF) {
		// What net returns for a connection that broke: net/http and its HTTP/2 go by this type.
		err = &net.OpError{Op: "read", Net: "tcp", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

// Write writes to the backend. It does not fail when the backend has stopped reading: a server may answer before it has
// the whole request and close (RFC 9112 section 9.6), and net/http would drop that answer for the sake of the error.
// Whether there is one, the reader finds out. Any other error is one.
func (c *conn) Write(p []byte) (int, error) {
	if c.broken {
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	if brokenByPeer(err) {
		c.broken = true
		return len(p), nil
	}
	return n, err
}

// brokenByPeer reports whether an error of a write says that the backend, or what is between, reads no more.
func brokenByPeer(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ETIMEDOUT)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.note(&c.closed, true)
	return c.Conn.Close()
}

func (c *conn) note(what *bool, value bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what = value
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// awaitReader blocks until the reader has used up all it had read before, so that it waits for the next byte, or has
// closed the connection, which it does when there is more than was asked for. It ends with ctx.
func (c *conn) awaitReader(ctx context.Context) {
	for {
		changed := c.unsettled()
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// unsettled returns what is closed at the next change, or nil when there is nothing to wait for.
func (c *conn) unsettled() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading || c.closed {
		return nil
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// connOf returns the connection that net/http got from our dialer, and whether it speaks HTTP/2.
func connOf(c net.Conn) (own *conn, http2 bool) {
	if secure, ok := c.(*tls.Conn); ok {
		c, http2 = secure.NetConn(), secure.ConnectionState().NegotiatedProtocol == "h2"
	}
	own, _ = c.(*conn)
	return own, http2
}
