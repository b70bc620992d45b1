package httpbackend

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// once keeps a request from being sent twice. When a reused connection breaks, or an HTTP/2 server refuses the stream,
// net/http repeats a request by itself if it has no body and its method is idempotent or it has an Idempotency-Key.
// That cannot be switched off. So one of two hooks, which run before any byte of a try is written, stops every try
// after the first one that wrote something:
//
//   - Transport.Proxy, which can fail, runs before each HTTP/1.1 try.
//   - GotConn runs before each HTTP/2 try, which checks its context once more before it writes.
//
// A connection that breaks before anything was written may still be replaced: the backend has not seen the request.
type once struct {
	written atomic.Bool
	cancel  context.CancelCauseFunc
}

var errReplay = errors.New("the connection broke before the response")

type onceKey struct{}

// sendOnce returns a context to send req with, and a function that ends it, to be called when the response has been
// read. A request with a body needs no protection: without GetBody net/http cannot repeat it.
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

// stopHTTP1 is a Transport.Proxy that returns no proxy, and an error for a second try.
func stopHTTP1(req *http.Request) (*url.URL, error) {
	if o, ok := req.Context().Value(onceKey{}).(*once); ok && o.written.Load() {
		return nil, errReplay
	}
	return nil, nil //nolint:nilnil // how a Transport.Proxy says "none"
}
