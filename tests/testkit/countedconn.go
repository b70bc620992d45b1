package testkit

import (
	"errors"
	"net"
	"sync/atomic"
)

// CountedConn is a connection that counts what it sends and receives, as progress to wait by.
type CountedConn struct {
	net.Conn

	Bytes *atomic.Int64
}

// CountedListener accepts connections that count what they send and receive.
type CountedListener struct {
	net.Listener

	Bytes *atomic.Int64
}

// Accept waits for a connection.
func (l CountedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return CountedConn{Conn: conn, Bytes: l.Bytes}, nil
}

// Read reads and counts.
func (c CountedConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	c.Bytes.Add(int64(n))
	return n, err
}

// CloseWrite says that nothing more will be sent.
func (c CountedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Write writes and counts.
func (c CountedConn) Write(from []byte) (int, error) {
	n, err := c.Conn.Write(from)
	c.Bytes.Add(int64(n))
	return n, err
}
