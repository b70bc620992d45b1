package kafka

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/carrier"
)

func TestNothingWaitsForEverOnAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &conn{Conn: ours, all: newConns(nil)}
		defer c.Close()
		for _, forget := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline} {
			require.NoError(t, forget(time.Time{}))
			started := time.Now()
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, carrier.CallTimeout, time.Since(started))
		}
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		_, err := c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestAfterTheCutThereIsNoConnection(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	all := newConns(nil)
	before, err := all.dial(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	all.cut()
	_, err = before.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = all.dial(t.Context(), "tcp", listener.Addr().String())
	require.ErrorIs(t, err, net.ErrClosed)
}
