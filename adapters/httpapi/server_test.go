package httpapi

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestServeWithoutListenIsAnError(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	s := New(opts)
	require.Nil(t, s.Addr())
	require.ErrorContains(t, s.Serve(), "not listening")
	require.NoError(t, s.Shutdown(t.Context()))
}

func TestPortThatIsTakenIsAnError(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	opts, _, _ := testOptions(&fakes{})
	opts.Address = r.server.Addr().String()
	require.ErrorContains(t, New(opts).Listen(t.Context()), "listen for HTTP")
}

func TestShutdownWithoutServeFreesThePort(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	s := New(opts)
	require.NoError(t, s.Listen(t.Context()))
	require.NoError(t, s.Shutdown(t.Context()))
	opts.Address = s.Addr().String()
	again := New(opts)
	require.NoError(t, again.Listen(t.Context()))
	require.NoError(t, again.Shutdown(t.Context()))
	require.NoError(t, s.Serve(), "it has ended before it began")
}

func TestServeReportsWhyItEnded(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	s := New(opts)
	require.NoError(t, s.Listen(t.Context()))
	require.NoError(t, s.clients.socket.Close())
	require.ErrorContains(t, s.Serve(), "serve HTTP")
}

func TestShutdownLetsRunningRequestsEnd(t *testing.T) {
	t.Parallel()
	begun, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, &fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
		close(begun)
		<-proceed
		return ports.Receipt{ID: testID}, nil
	}})
	submitted := make(chan answer, 1)
	go func() { submitted <- r.do("POST", "/api/v1/submit", `{}`) }()
	<-begun
	down := make(chan error, 1)
	go func() { down <- r.server.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		conn, err := r.dial()
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, testTimeout, 1, "nobody is let in any more")
	require.Empty(t, down)
	close(proceed)
	require.Equal(t, http.StatusAccepted, (<-submitted).StatusCode)
	require.NoError(t, <-down)
}

func TestShutdownThatMayNotWaitCutsOff(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	r := start(t, &fakes{state: func(ctx context.Context, _ domain.ID) (domain.Record, error) {
		close(begun)
		<-ctx.Done()
		return domain.Record{}, ctx.Err()
	}})
	cut := make(chan error, 1)
	go func() {
		response, err := r.client.Get("http://gateway" + statusURL)
		if err == nil {
			err = response.Body.Close()
		}
		cut <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.server.Shutdown(ctx), context.Canceled)
	require.Error(t, <-cut)
	require.Equal(t, observed{"GET", "/api/v1/status/{id}", 499}, <-r.observed)
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{})
	require.Equal(t, "openhqm_up 1\n", r.do("GET", "/metrics", "").body)
	require.Equal(t, observed{"GET", "/metrics", 200}, <-r.observed)
}

func TestTheAdministrativeAddressGoesWithTheOther(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	require.Nil(t, New(opts).AdminAddr(), "there is none")
	opts.AdminAddress = "127.0.0.1:0"
	s := New(opts)
	require.Nil(t, s.AdminAddr())
	require.ErrorContains(t, s.Serve(), "not listening")
	require.NoError(t, s.Listen(t.Context()))
	require.NotNil(t, s.AdminAddr())

	taken := New(opts)
	taken.clients.address, taken.admins.address = "127.0.0.1:0", s.AdminAddr().String()
	require.ErrorContains(t, taken.Listen(t.Context()), "listen for administration")
	require.ErrorIs(t, taken.clients.socket.Close(), net.ErrClosed, "both or none")

	require.NoError(t, s.Shutdown(t.Context()))
	opts.Address, opts.AdminAddress = s.Addr().String(), s.AdminAddr().String()
	again := New(opts)
	require.NoError(t, again.Listen(t.Context()), "both are free")
	require.NoError(t, again.Shutdown(t.Context()))
}

func TestOneAddressDoesNotOutliveTheOther(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"clients", "admins"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			opts, _, _ := testOptions(&fakes{})
			opts.AdminAddress = "127.0.0.1:0"
			s := New(opts)
			require.NoError(t, s.Listen(t.Context()))
			d := s.clients
			if lost == "admins" {
				d = s.admins
			}
			require.NoError(t, d.socket.Close())
			require.ErrorContains(t, s.Serve(), "serve "+d.name)
		})
	}
}

func TestADrainShowsOnTheAdministrativeAddress(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, gate)
	require.Equal(t, http.StatusOK, r.admin().do("GET", "/health/ready", "").StatusCode)
	r.server.Drain()
	require.Equal(t, http.StatusServiceUnavailable, r.admin().do("GET", "/health/ready", "").StatusCode)
}
