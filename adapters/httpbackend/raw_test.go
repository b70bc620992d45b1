package httpbackend_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// rawServer speaks whatever a test wants on each of its connections, and counts them and the requests that were read.
type rawServer struct {
	url         string
	address     string
	connections atomic.Int64
	requests    atomic.Int64
}

// conversation is one connection of a rawServer.
type conversation struct {
	net.Conn
	server *rawServer
	reader *bufio.Reader
}

// listen starts a rawServer; each connection is closed when talk returns, and all of them when the test ends.
func listen(t *testing.T, talk func(*conversation)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	server := &rawServer{url: "http://" + address, address: address}
	ended, end := context.WithCancel(context.Background())
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server.connections.Add(1)
			talks.Go(func() {
				stop := context.AfterFunc(ended, func() { _ = conn.Close() })
				defer stop()
				defer conn.Close()
				talk(&conversation{Conn: conn, server: server, reader: bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		end()
		talks.Wait()
	})
	return server
}

// readRequest reads a whole request, and reports whether there was one.
func (c *conversation) readRequest() bool {
	req, err := http.ReadRequest(c.reader)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	c.server.requests.Add(1)
	return err == nil
}

func (c *conversation) write(text string) { _, _ = io.WriteString(c, text) }

// reset closes the connection with a reset, so that the peer does not see an orderly end.
func (c *conversation) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// waitForClose blocks until the peer closes.
func (c *conversation) waitForClose() { _, _ = io.Copy(io.Discard, c.reader) }
