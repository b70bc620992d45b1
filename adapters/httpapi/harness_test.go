package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	testID      = domain.ID("01980f3c-7c1e-7cc3-8f6e-5a0f6f1f2a3b")
	testTimeout = time.Minute // the default of server.read_timeout
	testBodyMax = 1 << 20
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 891_234_567, time.FixedZone("CET", 3600))

// The driving ports as functions.
type (
	checkFunc  func(ports.Submission) error
	submitFunc func(context.Context, ports.Submission) (ports.Receipt, error)
	stateFunc  func(context.Context, domain.ID) (domain.Record, error)
	waitFunc   func(context.Context, domain.ID, time.Duration) (domain.Record, error)
	cancelFunc func(context.Context, domain.ID) (domain.Record, error)
	probeFunc  func(context.Context) error
)

// fakes stands for the application. What a test does not set answers ErrNotFound.
type fakes struct {
	check  checkFunc // nil: everything is in order
	submit submitFunc
	state  stateFunc
	wait   waitFunc
	find   stateFunc
	cancel cancelFunc
}

func (f *fakes) Check(s ports.Submission) error {
	if f.check == nil {
		return nil
	}
	return f.check(s)
}

func (f *fakes) Submit(ctx context.Context, s ports.Submission) (ports.Receipt, error) {
	if f.submit == nil {
		return ports.Receipt{}, ports.ErrNotFound
	}
	return f.submit(ctx, s)
}

func (f *fakes) State(ctx context.Context, _ ports.Caller, id domain.ID) (domain.Record, error) {
	if f.state == nil {
		return domain.Record{}, ports.ErrNotFound
	}
	return f.state(ctx, id)
}

func (f *fakes) Wait(
	ctx context.Context, _ ports.Caller, id domain.ID, wait time.Duration,
) (domain.Record, error) {
	if f.wait == nil {
		return domain.Record{}, ports.ErrNotFound
	}
	return f.wait(ctx, id, wait)
}

func (f *fakes) Find(ctx context.Context, _ ports.Caller, id domain.ID) (domain.Record, error) {
	if f.find == nil {
		return domain.Record{}, ports.ErrNotFound
	}
	return f.find(ctx, id)
}

func (f *fakes) Cancel(ctx context.Context, _ ports.Caller, id domain.ID) (domain.Record, error) {
	if f.cancel == nil {
		return domain.Record{}, ports.ErrNotFound
	}
	return f.cancel(ctx, id)
}

// reading is an application where every read returns the result of f; reads that do not wait call it with 0.
func reading(f waitFunc) *fakes {
	bare := func(ctx context.Context, id domain.ID, wait time.Duration) (domain.Record, error) {
		record, err := f(ctx, id, wait)
		record.Result = nil // as the port has it
		return record, err
	}
	return &fakes{
		state: func(ctx context.Context, id domain.ID) (domain.Record, error) { return bare(ctx, id, 0) },
		wait:  bare,
		find:  func(ctx context.Context, id domain.ID) (domain.Record, error) { return f(ctx, id, 0) },
	}
}

func (f probeFunc) Probe(ctx context.Context) error { return f(ctx) }

// observed is one call of a RequestObserver.
type observed struct {
	method, route string
	code          int
}

type observerChan chan observed

func (o observerChan) Requested(method, route string, code int, _ time.Duration) {
	o <- observed{method, route, code}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// rig is a server under test with everything around it.
type rig struct {
	t        *testing.T
	server   *Server
	client   *http.Client
	dial     func() (net.Conn, error)
	log      *logBuffer
	observed observerChan
}

// testOptions are those of a server that listens on a free port of the loopback.
func testOptions(f *fakes) (Options, *logBuffer, observerChan) {
	log, observer := &logBuffer{}, make(observerChan, 1000)
	return Options{
		Address:   "127.0.0.1:0",
		Version:   "1.2.3",
		Pseudonym: "openhqm-1",
		Submitter: f,
		Poller:    f,
		Canceller: f,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "openhqm_up 1\n")
		}),
		Observer:         observer,
		Logger:           slog.New(slog.NewTextHandler(log, nil)),
		Now:              func() time.Time { return testNow },
		MaxBodySize:      testBodyMax,
		MaxBodyBytes:     testBodyMax,
		MaxResponseBytes: testBodyMax,
		ReadTimeout:      testTimeout,
		MaxConnections:   100,
		AdminConnections: 100,
		Shortage:         NewShortage(slog.New(slog.DiscardHandler), time.Now),
	}, log, observer
}

// start serves on a real port until the test ends.
func start(t *testing.T, f *fakes, change ...func(*Options)) *rig {
	t.Helper()
	opts, log, observer := testOptions(f)
	for _, c := range change {
		c(&opts)
	}
	r := &rig{t: t, server: New(opts), log: log, observed: observer}
	require.NoError(t, r.server.Listen(t.Context()))
	r.dial = func() (net.Conn, error) { return net.Dial("tcp", r.server.Addr().String()) }
	r.serve()
	return r
}

// startPiped serves on connections in memory, whose deadlines follow the clock of a testing/synctest bubble.
func startPiped(t *testing.T, f *fakes, change ...func(*Options)) *rig {
	t.Helper()
	opts, log, observer := testOptions(f)
	for _, c := range change {
		c(&opts)
	}
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	r := &rig{t: t, server: New(opts), log: log, observed: observer, dial: listener.dial}
	r.server.clients.use(listener)
	r.serve()
	return r
}

func (r *rig) serve() {
	served := make(chan error, 1)
	go func() { served <- r.server.Serve() }()
	r.client = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return r.dial() },
	}}
	r.t.Cleanup(func() {
		r.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		require.NoError(r.t, r.server.Shutdown(ctx))
		require.NoError(r.t, <-served)
	})
}

// admin is the same server behind its administrative address.
func (r *rig) admin() *rig {
	r.t.Helper()
	return r.behind(r.server.AdminAddr())
}

// behind is the same server at another of its addresses.
func (r *rig) behind(address net.Addr) *rig {
	r.t.Helper()
	dial := func() (net.Conn, error) { return net.Dial("tcp", address.String()) }
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() },
	}}
	r.t.Cleanup(client.CloseIdleConnections)
	return &rig{t: r.t, server: r.server, client: client, dial: dial, log: r.log, observed: r.observed}
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

func (r *rig) do(method, path, body string, header ...string) answer {
	r.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://gateway"+path, content)
	require.NoError(r.t, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := r.client.Do(request)
	require.NoError(r.t, err)
	return readAnswer(r.t, response)
}

// doAs makes a request for another host.
func (r *rig) doAs(host, method, path string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://gateway"+path, strings.NewReader("{}"))
	require.NoError(r.t, err)
	request.Host = host
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	require.NoError(r.t, err)
	return readAnswer(r.t, response)
}

// exchange writes raw bytes on a connection of its own and reads all that comes until the server closes it.
func (r *rig) exchange(raw string) string {
	r.t.Helper()
	conn, err := r.dial()
	require.NoError(r.t, err)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, raw) }() // may fail: the server need not read it all
	reply, _ := io.ReadAll(conn)                     // a reset after the answer is no news
	return string(reply)
}

func readAnswer(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(body)}
}

// requireProblem checks that a is a well-formed problem document, and returns its members.
func requireProblem(t *testing.T, a answer, status int, code string) map[string]any {
	t.Helper()
	require.Equal(t, status, a.StatusCode, a.body)
	require.Equal(t, problemType, a.Header.Get("Content-Type"))
	var p map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(t, "about:blank", p["type"])
	require.Equal(t, http.StatusText(status), p["title"])
	require.EqualValues(t, status, p["status"])
	require.Equal(t, code, p["code"])
	require.NotEmpty(t, p["detail"])
	return p
}

// post begins a submit on a new connection and returns the connection. More of the body is to come.
func post(t *testing.T, r *rig, header, body string) net.Conn {
	t.Helper()
	conn, err := r.dial()
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /api/v1/submit HTTP/1.1\r\nHost: gateway\r\n%s\r\n\r\n%s", header, body)
	require.NoError(t, err)
	return conn
}

// requireClosingProblem reads a problem and then the end of the connection.
func requireClosingProblem(t *testing.T, conn net.Conn, status int, code string) {
	t.Helper()
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	requireProblem(t, readAnswer(t, response), status, code)
	require.True(t, response.Close)
	_, err = reader.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, conn.Close())
}

// pipeListener hands out one end of each net.Pipe.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
