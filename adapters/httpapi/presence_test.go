package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// desk is an application where every call waits until it is released or its context ends.
type desk struct {
	called  chan context.Context
	release chan struct{}
}

func newDesk() *desk {
	return &desk{called: make(chan context.Context, 10), release: make(chan struct{})}
}

func (d *desk) attend(ctx context.Context) error {
	d.called <- ctx
	select {
	case <-d.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *desk) application() *fakes {
	record := func(ctx context.Context) (domain.Record, error) { return pendingRecord, d.attend(ctx) }
	return &fakes{
		submit: func(ctx context.Context, _ ports.Submission) (ports.Receipt, error) {
			return ports.Receipt{ID: testID, SubmittedAt: testNow}, d.attend(ctx)
		},
		state:  func(ctx context.Context, _ domain.ID) (domain.Record, error) { return record(ctx) },
		cancel: func(ctx context.Context, _ domain.ID) (domain.Record, error) { return record(ctx) },
		wait: func(ctx context.Context, _ domain.ID, _ time.Duration) (domain.Record, error) {
			return record(ctx)
		},
	}
}

func (d *desk) List(ctx context.Context, _ ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	return ports.DeadLetterPage{}, d.attend(ctx)
}

func (d *desk) State(ctx context.Context, _ domain.ID) (domain.DeadLetter, error) {
	return testDeadLetter(), d.attend(ctx)
}

func (d *desk) Find(ctx context.Context, _ domain.ID) (domain.DeadLetter, error) {
	return testDeadLetter(), d.attend(ctx)
}

func (d *desk) Delete(ctx context.Context, _ domain.ID) error { return d.attend(ctx) }

func (d *desk) Resend(ctx context.Context, _ domain.ID) (ports.Resent, error) {
	return ports.Resent{ID: testID}, d.attend(ctx)
}

func (d *desk) ResendMany(ctx context.Context, _ ports.DeadLetterFilter, _ int) (ports.ResentPage, error) {
	return ports.ResentPage{}, d.attend(ctx)
}

func (d *desk) Backup(ctx context.Context) (string, error) { return "/backup", d.attend(ctx) }

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.attend(r.Context()) == nil {
		w.WriteHeader(http.StatusOK)
	}
}

// everything has a server ask the desk for everything.
func (d *desk) everything(o *Options) { o.DeadLetters, o.Resender, o.Backups, o.Metrics = d, d, d, d }

// halfCloser is a connection of which half can be closed.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// ask sends a request on a connection of its own.
func (r *rig) ask(head, body string) halfCloser {
	r.t.Helper()
	conn, err := r.dial()
	require.NoError(r.t, err)
	_, err = fmt.Fprintf(conn, "%s\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	require.NoError(r.t, err)
	half, ok := conn.(halfCloser)
	require.True(r.t, ok)
	return half
}

// reset closes a connection so that the server learns that nobody is there any more.
func reset(t *testing.T, conn net.Conn) {
	t.Helper()
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetLinger(0))
	require.NoError(t, conn.Close())
}

// readReply reads an answer until its end.
func readReply(t *testing.T, conn net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return readAnswer(t, response)
}

// TestAClientThatHasSentAllGetsItsAnswer has clients that close their sending half after the request, as nc -N does.
func TestAClientThatHasSentAllGetsItsAnswer(t *testing.T) {
	t.Parallel()
	const submit, letter = "POST /api/v1/submit HTTP/1.1", deadLettersPath + "/" + string(testID)
	for name, tt := range map[string]struct {
		head, body string
		want       int
	}{
		"submit":                {submit, "{}", 202},
		"submit, old protocol":  {"POST /api/v1/submit HTTP/1.0", "{}", 202},
		"submit and wait":       {submit + "\r\nPrefer: wait=30", "{}", 202},
		"proxy":                 {"PUT /proxy/orders/x HTTP/1.1", "x", 202},
		"proxy and wait":        {"PUT /proxy/orders/x HTTP/1.1\r\nPrefer: wait=30", "x", 202},
		"status":                {"GET " + statusURL + " HTTP/1.1", "", 200},
		"cancel":                {"DELETE " + statusURL + " HTTP/1.1", "", 200},
		"wait":                  {"GET " + responseURL + "?wait=30s HTTP/1.1", "", 202},
		"wait for the original": {"GET " + rawURL + "?wait=30s HTTP/1.1", "", 202},
		"metrics":               {"GET /metrics HTTP/1.1", "", 200},
		"list dead letters":     {"GET " + deadLettersPath + " HTTP/1.1", "", 200},
		"show a dead letter":    {"GET " + letter + " HTTP/1.1", "", 200},
		"delete a dead letter":  {"DELETE " + letter + " HTTP/1.1", "", 204},
		"resend a dead letter":  {"POST " + letter + "/resend HTTP/1.1", "", 202},
		"resend many":           {"POST " + deadLettersPath + "/resend HTTP/1.1", "{}", 202},
		"back up":               {"POST " + backupPath + " HTTP/1.1", "", 201},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				r := startPiped(t, d.application(), d.everything)
				conn := r.ask(tt.head, tt.body)
				called := <-d.called
				require.NoError(t, conn.CloseWrite())
				synctest.Wait()
				require.NoError(t, called.Err())
				close(d.release)
				require.Equal(t, tt.want, readReply(t, conn).StatusCode)
				require.Equal(t, tt.want, (<-r.observed).code)
				_, err := conn.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF, "the connection is not kept")
				synctest.Wait()
				require.Zero(t, r.server.clients.socket.parted.Len())
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestAClientThatLeavesEndsOnlyWhatNobodyElseNeeds has connections that are reset.
func TestAClientThatLeavesEndsOnlyWhatNobodyElseNeeds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		head, body string
		lasts      bool
		want       int // as counted
	}{
		"submit":      {"POST /api/v1/submit HTTP/1.1", "{}", true, 202},
		"proxy":       {"PUT /proxy/orders/x HTTP/1.1", "x", true, 202},
		"cancel":      {"DELETE " + statusURL + " HTTP/1.1", "", true, 200},
		"delete":      {"DELETE " + deadLettersPath + "/" + string(testID) + " HTTP/1.1", "", true, 204},
		"resend":      {"POST " + deadLettersPath + "/" + string(testID) + "/resend HTTP/1.1", "", true, 202},
		"resend many": {"POST " + deadLettersPath + "/resend HTTP/1.1", "{}", false, statusClientGone},
		"status":      {"GET " + statusURL + " HTTP/1.1", "", false, statusClientGone},
		"wait":        {"GET " + responseURL + "?wait=30s HTTP/1.1", "", false, statusClientGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			r := start(t, d.application(), d.everything)
			conn := r.ask(tt.head, tt.body)
			called := <-d.called
			reset(t, conn)
			connection, ok := called.Value(placedKey{}).(*placed)
			require.True(t, ok)
			<-connection.here.Done()
			if tt.lasts {
				require.NoError(t, called.Err())
				close(d.release)
			}
			require.Equal(t, tt.want, (<-r.observed).code)
			require.NotContains(t, r.log.String(), "internal error")
		})
	}
}

// TestClientsThatMayHaveLeftHoldFewPlaces has more than a quarter of all places wait for clients of which half is gone.
func TestClientsThatMayHaveLeftHoldFewPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 12
		f := newDesk().application()
		f.submit = func(context.Context, ports.Submission) (ports.Receipt, error) { return ports.Receipt{ID: testID}, nil }
		f.state = func(context.Context, domain.ID) (domain.Record, error) { return pendingRecord, nil }
		r := startPiped(t, f, func(o *Options) { o.MaxConnections = limit })
		var waiting []halfCloser
		for range limit/4 + 2 {
			conn := r.ask("POST /api/v1/submit HTTP/1.1\r\nPrefer: wait=60", "{}")
			waiting = append(waiting, conn)
			require.NoError(t, conn.CloseWrite())
			synctest.Wait()
		}
		for _, conn := range waiting[:2] {
			require.Equal(t, http.StatusAccepted, readReply(t, conn).StatusCode)
		}
		synctest.Wait()
		require.Len(t, r.observed, 2, "the others go on waiting")
		r.server.Drain()
		for _, conn := range waiting {
			require.NoError(t, conn.Close())
		}
	})
}

// TestWorkThatLastsEndsWhenTheServerCutsItOff holds that nothing runs on after the queue is closed.
func TestWorkThatLastsEndsWhenTheServerCutsItOff(t *testing.T) {
	t.Parallel()
	d := newDesk()
	r := start(t, d.application(), d.everything)
	conn := r.ask("POST /api/v1/submit HTTP/1.1", "{}")
	defer conn.Close()
	called := <-d.called
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.server.Shutdown(ctx), context.Canceled)
	<-called.Done()
	require.Equal(t, statusClientGone, (<-r.observed).code)
}
