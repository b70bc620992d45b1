package testkit

import (
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Port is a TCP port of the loopback interface that belongs to the test but refuses all connections, until Listen. A
// port that was merely free a moment ago could be used by another process.
type Port struct {
	Address string // host:port

	tb   testing.TB
	file *os.File
}

// NewPort reserves a port: bound, and not listening.
func NewPort(tb testing.TB) *Port {
	tb.Helper()
	syscall.ForkLock.RLock() // see there: no process that is started meanwhile may inherit the socket
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	require.NoError(tb, err)
	file := os.NewFile(uintptr(socket), "port")
	tb.Cleanup(func() { _ = file.Close() }) // nothing was written
	require.NoError(tb, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(socket)
	require.NoError(tb, err)
	address, ok := name.(*syscall.SockaddrInet4)
	require.True(tb, ok, "the address of an IPv4 socket")
	return &Port{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(address.Port)), tb: tb, file: file}
}

// Listen makes the port accept connections.
func (p *Port) Listen() net.Listener {
	p.tb.Helper()
	require.NoError(p.tb, syscall.Listen(int(p.file.Fd()), syscall.SOMAXCONN))
	listener, err := net.FileListener(p.file)
	require.NoError(p.tb, err)
	return listener
}
