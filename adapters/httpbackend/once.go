package httpbackend

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// once keeps a request from being sent twice. net/http repeats a request by itself when a reused connection breaks, or
// an HTTP/2 server refuses the stream, if it has no body and its method is idempotent or it has an Idempotency-Key.
// There is no switch for that, so two hooks that come before each try, and between them before any byte of it, stop
// all tries after the first that wrote something:
//
//   - Transport.Proxy, which can fail, comes before each HTTP/1.1 try.
//   - GotConn comes before each HTTP/2 try; that one looks at its context once more before it writes.
//
// A connection that is found dead before anything was written may still be replaced: nobody has seen the request.
type once struct {
	written atomic.Bool
	cancel  context.CancelCauseFunc
}

var errReplay = errors.New("the connection broke before the response")

type onceKey struct{}

// sendOnce returns a context to send req with, and a function that ends it, which must be called when the response has
// been read. A request with a body needs none of this: without GetBody it cannot be repeated.
func sendOnce(ctx context.Context, req *http.Request) (context.Context, func()) {
	if req.Body != nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	o := &once{cancel: cancel}
	ctx = context.WithValue(ctx, onceKey{}, o)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { o.stopHTTP2() },
		WroteHeaders: func() { o.written.Store(true) },
	})
	return ctx, func() { cancel(nil) }
}

func (o *once) stopHTTP2() {
	if o.written.Load() {
		o.cancel(errReplay)
	}
}

// stopHTTP1 is a Transport.Proxy that knows no proxies.
func stopHTTP1(req *http.Request) (*url.URL, error) {
	if o, ok := req.Context().Value(onceKey{}).(*once); ok && o.written.Load() {
		return nil, errReplay
	}
	return nil, nil //nolint:nilnil // how a Transport.Proxy says "none"
}
