package httpbackend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// A charged attempt is one request that the backend may have seen. net/http would repeat requests by itself: on
// HTTP/1.1 when a reused connection breaks, on HTTP/2 when the server turns a stream away. It has no switch for that
// and does not say which it was, so each of its second tries is stopped, and send decides:
//
//   - What the backend cannot have processed is sent again at once, on another connection: nothing was written, or, on
//     HTTP/2, the stream was refused or lies above the last one that a GOAWAY names (RFC 9113 sections 6.8 and 8.7).
//   - A reused HTTP/1.1 connection that ends without one byte of an answer was most likely closed by the backend for
//     being idle, just as the request left (RFC 9112 section 9.3.1). It is sent once more, on a new connection, if the
//     call may be repeated: see ports.Call.
//   - Everything else is how the attempt ended.
//
// net/http also wants to repeat a stream that ended with PROTOCOL_ERROR, because some servers send it in place of
// GOAWAY (golang/go issue 47635). But the error says nothing about what the backend has done (RFC 9113 section 7), so
// such a call is treated like one on a connection that was idle for too long.

// unsentTries bounds how often a request is sent that the backend turns away unread. A server that closes a connection
// after ten requests turns away most of what a full pool of slots sends at once.
const unsentTries = 40

// freshTries bounds how often a new connection may end before anything was written: what does that is rather a backend
// that nobody can reach.
const freshTries = 3

// unsentPause is the pause after the first few refusals: a backend that restarts is back soon.
const unsentPause = 25 * time.Millisecond

var (
	// errSecondTry stops the transport's own second try.
	errSecondTry = errors.New("the connection broke before the response")
	errRefused   = errors.New("the backend turned the request away unread, again and again")
)

// send makes an attempt. The release must be called when the response has been read.
func (c *Client) send(
	ctx context.Context, ep *endpoint, req *http.Request, call ports.Call,
) (resp *http.Response, release func(), err error) {
	repeated, fresh := false, 0
	for n := 1; ; n++ {
		t := newTry(ctx, &ep.pool.streamErrors)
		transport := ep.pool.current()
		resp, err = transport.RoundTrip(t.request(req, call.Request.Body))
		if err == nil {
			return resp, t.end, nil
		}
		t.end()
		switch {
		case ctx.Err() != nil:
			return nil, nil, err
		case t.unsent(err):
			if t.isFresh() {
				fresh++
			}
			if fresh == freshTries {
				return nil, nil, err
			}
			if n == unsentTries {
				return nil, nil, errRefused
			}
			if n > unsentTries/4 && !sleep(ctx, unsentPause) {
				return nil, nil, err
			}
		case !repeated && call.Repeatable && t.doubtful(err):
			repeated = true
			transport.CloseIdleConnections() // they have been idle for as long
		default:
			return nil, nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try is one request given to the transport, which sends it once at most.
type try struct {
	ctx context.Context
	end func()

	// streamErrors counts the streams of the endpoint that ended with PROTOCOL_ERROR, this one perhaps among them.
	streamErrors *atomic.Int64
	errorsBefore int64

	mu       sync.Mutex
	begun    bool // the transport has looked for a connection
	conn     *conn
	reused   bool
	http2    bool
	before   int64 // bytes written on conn before this request
	answered bool  // a byte of a response came
	stopped  bool  // the transport was kept from sending it a second time
}

type tryKey struct{}

func newTry(ctx context.Context, streamErrors *atomic.Int64) *try {
	t := &try{streamErrors: streamErrors, errorsBefore: streamErrors.Load()}
	ctx, cancel := context.WithCancelCause(ctx)
	ctx = context.WithValue(ctx, tryKey{}, t)
	t.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if !t.connected(info) {
				cancel(errSecondTry) // HTTP/2 looks at its context once more before it writes
			}
		},
		GotFirstResponseByte: t.firstByte,
	})
	t.end = func() { cancel(nil) }
	return t
}

// connected notes the connection of the first try, and reports false at a second one.
func (t *try) connected(info httptrace.GotConnInfo) bool {
	own, http2 := connOf(info.Conn)
	if own != nil && info.Reused && !http2 {
		own.awaitReader(t.ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		t.stopped = true
		return false
	}
	t.conn, t.reused, t.http2 = own, info.Reused, http2
	if own != nil {
		t.before = own.written.Load()
	}
	return true
}

// request returns req as it is sent in this try.
func (t *try) request(req *http.Request, body []byte) *http.Request {
	req = req.WithContext(t.ctx)
	setBody(req, body)
	// The transport asks for the body again when it wants to send it a second time.
	req.GetBody = func() (io.ReadCloser, error) { return nil, t.stop() }
	return req
}

func (t *try) firstByte() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered = true
}

// stop notes that the transport wants to send a second time.
func (t *try) stop() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	return errSecondTry
}

// unsent reports whether the backend cannot have processed the request.
func (t *try) unsent(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.conn == nil, t.http2: // without a connection the one that there was had just become unusable
		return t.stopped && !t.streamError()
	default:
		return t.conn.written.Load() == t.before && !lateHeader(err)
	}
}

// doubtful reports whether the backend most likely has not processed the request: it may have closed the connection
// just as that was used again, or ended the stream with PROTOCOL_ERROR.
func (t *try) doubtful(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.answered || lateHeader(err) {
		return false
	}
	if t.conn == nil || t.http2 {
		return t.streamError()
	}
	return t.reused
}

// streamError reports whether a stream, of this try or of a call beside it, ended with PROTOCOL_ERROR.
func (t *try) streamError() bool { return t.streamErrors.Load() != t.errorsBefore }

// isFresh reports whether the try had a new connection of HTTP/1.1.
func (t *try) isFresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conn != nil && !t.reused && !t.http2
}

// stopSecondTry is a Transport.Proxy that knows no proxies: it comes before each try, and can fail.
func stopSecondTry(req *http.Request) (*url.URL, error) {
	t, ok := req.Context().Value(tryKey{}).(*try)
	if !ok {
		return nil, nil //nolint:nilnil // how a Transport.Proxy says "none"
	}
	t.mu.Lock()
	first := !t.begun
	t.begun = true
	t.mu.Unlock()
	if first {
		return nil, nil //nolint:nilnil // as above
	}
	return nil, t.stop()
}
