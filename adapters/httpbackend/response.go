package httpbackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// firstRead is the size of the first buffer for a body of unknown length.
const firstRead = 4 << 10

// tooLargeError is the error of a response over that limit in bytes.
type tooLargeError int64

func (limit tooLargeError) Error() string {
	return fmt.Sprintf("the response is larger than %d bytes (proxy.max_response_size)", int64(limit))
}

// errNotFinal is the error of a response with a status below 200: a 101 that nobody asked for, or an invalid status.
// The transport skips other interim responses (1xx).
var errNotFinal = errors.New("the backend sent a status that is not a final response")

// readResponse reads the whole response: end-to-end fields and exact bytes. It drops trailer fields, as RFC 9110
// section 6.5.1 allows.
func (c *Client) readResponse(ctx context.Context, call ports.Call, resp *http.Response) (*domain.Response, error) {
	if resp.StatusCode < http.StatusOK {
		return nil, errNotFinal
	}
	out := &domain.Response{StatusCode: resp.StatusCode, Header: domain.Header(resp.Header).EndToEnd()}
	if bodiless(call.Method, resp.StatusCode) {
		return out, nil
	}
	var err error
	out.Body, err = c.readBody(ctx, call.Reserve, resp)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// bodiless reports whether a response has no body, whatever its Content-Length (RFC 9110 section 6.4.1).
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// readBody reads to the end, so that the connection can be reused. A response of HTTP/1.x with neither a length nor
// chunks ends with its connection. With TLS a closure alert must confirm the end (see alertedConn). Without TLS the end
// looks like a broken connection, and counts as the end (RFC 9112 section 6.3).
//
// It reserves memory once, for the worst case, and never waits for more while it holds some, so that calls cannot
// deadlock.
func (c *Client) readBody(ctx context.Context, reserve ports.Reserve, resp *http.Response) ([]byte, error) {
	length := resp.ContentLength // -1 when it is not known
	if length > c.maxSize {
		return nil, tooLargeError(c.maxSize)
	}
	if length >= 0 {
		return readKnown(ctx, reserve, resp.Body, length)
	}
	buf, ended, err := readUpTo(resp.Body, make([]byte, 0, firstRead), min(ports.UnreservedBytes, c.maxSize))
	if ended || err != nil {
		return buf, err
	}
	if err := reserved(ctx, reserve, c.maxSize); err != nil {
		return nil, err
	}
	buf, ended, err = readUpTo(resp.Body, buf, c.maxSize)
	if err == nil && !ended {
		return nil, tooLargeError(c.maxSize)
	}
	return buf, err
}

// readKnown reads a body of known length. The transport returns an error for any other length.
func readKnown(ctx context.Context, reserve ports.Reserve, r io.Reader, length int64) ([]byte, error) {
	if err := reserved(ctx, reserve, length); err != nil {
		return nil, err
	}
	buf, _, err := readUpTo(r, make([]byte, 0, length+1), length) // one more, to meet the end without growing
	return buf, err
}

func reserved(ctx context.Context, reserve ports.Reserve, n int64) error {
	if reserve == nil || n <= ports.UnreservedBytes {
		return nil
	}
	return reserve(ctx, n)
}

// readUpTo appends to buf until r ends, or until buf holds more than limit bytes. It doubles buf when that is full; for
// a moment both are in memory. On an error it returns no bytes, because a part of a response is useless.
func readUpTo(r io.Reader, buf []byte, limit int64) (_ []byte, ended bool, _ error) {
	for int64(len(buf)) <= limit {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*int64(cap(buf)), limit+1)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF: // only io.EOF itself is the end; wrapped, it means a broken connection
			return buf, int64(len(buf)) <= limit, nil
		case err != nil:
			return nil, false, err
		}
	}
	return buf, false, nil
}
