package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// crowdRig is a listener with few places.
type crowdRig struct {
	t        *testing.T
	places   *places
	arrivals *arrivals
	log      *logBuffer
}

// newCrowd makes a listener where 127.0.0.1 does not count as a client.
func newCrowd(t *testing.T, limit int) *crowdRig {
	t.Helper()
	r := &crowdRig{t: t, arrivals: &arrivals{next: make(chan arrival), closed: make(chan struct{})}, log: &logBuffer{}}
	shortage := NewShortage(slog.New(slog.NewTextHandler(r.log, nil)), time.Now)
	r.places = newPlaces(r.arrivals, limit, netip.Addr.IsLoopback, shortage)
	return r
}

// arrivals is a listener whose connections and errors come from the test.
type arrivals struct {
	net.Listener

	next   chan arrival
	closed chan struct{}
}

type arrival struct {
	conn net.Conn
	err  error
}

func (a *arrivals) Accept() (net.Conn, error) {
	next := <-a.next
	return next.conn, next.err
}

func (a *arrivals) Close() error {
	close(a.closed)
	return nil
}

// caller is a connection of a client.
type caller struct {
	net.Conn

	address string
	closed  bool
}

func (c *caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.address), 1))
}

func (c *caller) Close() error {
	c.closed = true
	return nil
}

// arrive has the places accept a connection, which is then quiet.
func (r *crowdRig) arrive(address string) (*caller, *placed) {
	r.t.Helper()
	client := &caller{address: address}
	go func() { r.arrivals.next <- arrival{conn: client} }()
	conn, err := r.places.Accept()
	require.NoError(r.t, err)
	r.places.note(conn, http.StateNew)
	placed, ok := conn.(*placed)
	require.True(r.t, ok)
	return client, placed
}

func TestTheLongestQuietConnectionMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newCrowd(t, 2)
		first, _ := r.arrive("127.0.0.1")
		second, busy := r.arrive("127.0.0.1")
		_, fresh := r.arrive("127.0.0.1")
		require.True(t, fresh.spare, "nobody was quiet for long")
		r.places.note(busy, http.StateActive)

		<-time.After(quietTime)
		_, third := r.arrive("127.0.0.1")
		require.False(t, third.spare)
		require.True(t, first.closed)
		require.False(t, second.closed, "it is busy")

		<-time.After(quietTime)
		r.places.note(busy, http.StateIdle)
		_, fourth := r.arrive("127.0.0.1")
		require.False(t, fourth.spare)
		require.NoError(t, fourth.Close())
		require.NoError(t, fresh.Close())
		_, fifth := r.arrive("127.0.0.1")
		require.False(t, fifth.spare, "a place was free")
	})
}

// TestAGreedyClientHoldsUpNobody holds that its connections are closed where others would have to wait behind them, and
// that it leaves spare places.
func TestAGreedyClientHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const greedy, limit = "192.0.2.66", 10
		r := newCrowd(t, limit)
		for range limit/2 + crowdedPlaces {
			_, c := r.arrive(greedy)
			r.places.note(c, http.StateActive)
		}
		refused := &caller{address: greedy}
		go func() { r.arrivals.next <- arrival{conn: refused} }()
		synctest.Wait() // it is the first in line
		began := time.Now()
		for range limit / 2 {
			_, other := r.arrive("192.0.2.1")
			require.False(t, other.spare)
			r.places.note(other, http.StateActive)
		}
		require.True(t, refused.closed)
		_, spare := r.arrive("192.0.2.2")
		require.True(t, spare.spare, "health is answered")
		require.Zero(t, time.Since(began))
	})
}

func TestAClientHasHalfOfThePlacesAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newCrowd(t, 4)
		const greedy, network = "2001:db8::1", "2001:db8::2" // one network
		_, a := r.arrive(greedy)
		_, b := r.arrive(network)
		_, c := r.arrive(greedy)
		require.False(t, a.spare || b.spare)
		require.True(t, c.spare)
		_, other := r.arrive("192.0.2.1")
		require.False(t, other.spare)
		require.Equal(t, 1, strings.Count(r.log.String(), "one client uses half of all connections"))
		require.NoError(t, a.Close())
		require.NoError(t, a.Close(), "twice is once")
		_, again := r.arrive(greedy)
		require.False(t, again.spare)

		<-time.After(quietTime)
		_, d := r.arrive(greedy)
		require.False(t, d.spare, "its own quiet one makes room")
		require.Len(t, r.places.clients, 2)
		require.NoError(t, c.Close())
	})
}

func TestWithoutASparePlaceConnectionsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newCrowd(t, 1)
		_, only := r.arrive("127.0.0.1")
		r.places.note(only, http.StateActive)
		for range SparePlaces {
			_, spare := r.arrive("127.0.0.1")
			require.True(t, spare.spare)
			r.places.note(spare, http.StateActive)
		}
		began := time.Now()
		_, late := r.arrive("127.0.0.1")
		require.Equal(t, spareTime, time.Since(began), "spare connections last no longer")
		require.True(t, late.spare)
		require.Equal(t, ports.Degraded("all connections are in use: new ones get 503"),
			r.places.shortage.Probe(t.Context()))
		require.Equal(t, 1, strings.Count(r.log.String(), "WARN"), r.log.String())
		<-time.After(2 * shortageLasts)
		require.NoError(t, r.places.shortage.Probe(t.Context()))
	})
}

func TestAConnectionThatWaitsForAPlaceIsClosedWithTheListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newCrowd(t, 1)
		for range 1 + SparePlaces {
			_, placed := r.arrive("127.0.0.1")
			r.places.note(placed, http.StateActive)
		}
		waits := &caller{address: "127.0.0.1"}
		go func() { r.arrivals.next <- arrival{conn: waits} }()
		ended := make(chan error, 1)
		go func() {
			_, err := r.places.Accept()
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, r.places.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.True(t, waits.closed)
		<-time.After(spareTime)
	})
}

func TestWithoutDescriptorsTheListenerWaits(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newCrowd(t, 10)
				quiet, _ := r.arrive("127.0.0.1")
				<-time.After(quietTime)
				go func() {
					for range 100 {
						r.arrivals.next <- arrival{err: &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errno)}}
					}
				}()
				synctest.Wait()
				began := time.Now()
				accepted := make(chan error, 1)
				go func() {
					conn, err := r.places.Accept()
					if err == nil {
						err = conn.Close()
					}
					accepted <- err
				}()
				<-time.After(100 * placePause)
				synctest.Wait()
				require.True(t, quiet.closed, "its descriptor is needed")
				require.Equal(t, ports.Degraded("out of file descriptors: new connections wait"),
					r.places.shortage.Probe(t.Context()))
				require.Equal(t, 1, strings.Count(r.log.String(), "WARN"), r.log.String())
				r.arrivals.next <- arrival{conn: &caller{address: "127.0.0.1"}}
				require.NoError(t, <-accepted)
				require.Less(t, time.Since(began), 101*placePause)
			})
		})
	}
	r := newCrowd(t, 1)
	go func() { r.arrivals.next <- arrival{err: net.ErrClosed} }()
	_, err := r.places.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "any other error ends it")
}

// TestHealthIsAnsweredWhileAllConnectionsAreBusy holds that a full gateway is not killed for being busy.
func TestHealthIsAnsweredWhileAllConnectionsAreBusy(t *testing.T) {
	t.Parallel()
	waiting, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, &fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
		close(waiting)
		<-proceed
		return ports.Receipt{ID: testID}, nil
	}}, func(o *Options) { o.MaxConnections = 1 })
	busy, err := r.dial()
	require.NoError(t, err)
	defer busy.Close()
	_, err = io.WriteString(busy, "GET /proxy/orders HTTP/1.1\r\nHost: gateway\r\n\r\n")
	require.NoError(t, err)
	<-waiting

	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		a := r.do("GET", path, "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.True(t, a.Close)
	}
	for _, path := range []string{"/", "/proxy/orders", "/metrics"} {
		a := r.do("GET", path, "")
		requireProblem(t, a, http.StatusServiceUnavailable, "OVERLOADED")
		require.True(t, a.Close)
	}
	close(proceed)
}
