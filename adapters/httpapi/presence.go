package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
)

// net/http ends the context of a request when the client has closed its sending half, although such a client still
// waits for its answer. So the contexts of HTTP/1 requests are replaced here:
//
//   - That of the request ends when the client has certainly left: the connection was reset, or a write to it failed.
//     A client that closed its whole connection cannot be told from one that closed half of it until something is
//     written. It costs at most the wait that it asked for, and of such waits there are few: see places.parted.
//   - That of work that must not be left half done does not depend on the client at all: see lasting.
//
// HTTP/2 ends the context of a request when its stream is reset, which is a departure.

// presence is what is known about the client at the other end of a connection.
type presence struct {
	here    context.Context // ends when the client has certainly left
	patient context.Context // ends when no answer must be held any longer

	leave  context.CancelFunc
	hasten context.CancelFunc
}

func newPresence(serving context.Context) presence {
	var p presence
	p.here, p.leave = context.WithCancel(serving)
	p.patient, p.hasten = context.WithCancel(serving)
	return p
}

type placedKey struct{}

// introduce is the ConnContext of the server: it has requests know their connection.
func introduce(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, placedKey{}, placeOf(conn))
}

// connectionOf returns the connection of a request, or nil in a test without one.
func connectionOf(r *http.Request) *placed {
	c, _ := r.Context().Value(placedKey{}).(*placed)
	return c
}

// whilePresent wraps next so that the context of each HTTP/1 request is cancelled when its client has left.
func whilePresent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := connectionOf(r); c != nil && r.ProtoMajor < 2 {
			ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
			defer cancel()
			forget := context.AfterFunc(c.here, cancel)
			defer forget()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// lasting returns a context for a call that changes something. Whether the client waits for it makes no difference: it
// ends after callTimeout, or when the server cuts off what still runs.
func lasting(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTimeout)
	c := connectionOf(r)
	if c == nil {
		return ctx, cancel
	}
	forget := context.AfterFunc(c.places.serving, cancel)
	return ctx, func() {
		forget()
		cancel()
	}
}

// departed says whether nobody gets the answer to r any more. A cut-off ends the contexts of a request and of
// what it has called in any order, so it is looked at itself.
func departed(r *http.Request) bool {
	c := connectionOf(r)
	return r.Context().Err() != nil || c != nil && c.places.serving.Err() != nil
}

// impatient calls stop when the answer to r must not be held any longer, unless forget is called before.
func impatient(r *http.Request, stop func()) (forget func() bool) {
	if c := connectionOf(r); c != nil {
		return context.AfterFunc(c.patient, stop)
	}
	return func() bool { return true }
}

// Read reads what the client sends, and notes its departure.
func (c *placed) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded): // net/http interrupts its own reads
	case errors.Is(err, io.EOF):
		c.places.part(c)
	default:
		c.leave()
	}
	return n, err
}

// Write writes to the client, and notes its departure. net/http closes a connection after any error.
func (c *placed) Write(content []byte) (int, error) {
	n, err := c.Conn.Write(content)
	if err != nil {
		c.leave()
	}
	return n, err
}
