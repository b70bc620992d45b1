package httpbackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/openhqm/openhqm/domain"
)

const (
	// freeSize is how many bytes of a body are read without asking the budget.
	freeSize = 64 << 10

	// firstRead is the size of the first buffer for a body of unknown length.
	firstRead = 4 << 10
)

// tooLargeError is a response over the limit, in bytes.
type tooLargeError int64

func (limit tooLargeError) Error() string {
	return fmt.Sprintf("the response is larger than %d bytes (proxy.max_response_size)", int64(limit))
}

// errNotFinal is a status that is no final response: 101, which answers an upgrade that nobody asked for, or nonsense.
// Other interim responses (1xx) are skipped by the transport.
var errNotFinal = errors.New("the backend sent a status that is no final response")

// readResponse takes the whole response: end-to-end fields and exact bytes. Trailer fields are dropped, as RFC 9110
// section 6.5.1 allows.
func (c *Client) readResponse(ctx context.Context, method string, resp *http.Response) (*domain.Response, error) {
	if resp.StatusCode < http.StatusOK {
		return nil, errNotFinal
	}
	out := &domain.Response{StatusCode: resp.StatusCode, Header: domain.Header(resp.Header).EndToEnd()}
	if bodiless(method, resp.StatusCode) {
		return out, nil
	}
	var err error
	out.Body, err = c.readBody(ctx, resp.Body, resp.ContentLength)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// bodiless tells responses without a body, whatever their Content-Length says (RFC 9110 section 6.4.1).
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// readBody reads to the end, so that the connection can be used again. length is -1 when it is not known.
//
// It asks for memory once, for the whole worst case, and never waits for more while it holds some: calls cannot
// deadlock each other.
func (c *Client) readBody(ctx context.Context, r io.Reader, length int64) ([]byte, error) {
	if length > c.maxSize {
		return nil, tooLargeError(c.maxSize)
	}
	if length >= 0 {
		return c.readKnown(ctx, r, length)
	}
	buf, ended, err := readUpTo(r, make([]byte, 0, firstRead), min(freeSize, c.maxSize))
	if ended || err != nil {
		return buf, err
	}
	release, err := c.memory.acquire(ctx, c.maxSize)
	if err != nil {
		return nil, err
	}
	defer release()
	buf, ended, err = readUpTo(r, buf, c.maxSize)
	if err == nil && !ended {
		return nil, tooLargeError(c.maxSize)
	}
	return buf, err
}

// readKnown relies on the transport to give neither less nor more than length without an error.
func (c *Client) readKnown(ctx context.Context, r io.Reader, length int64) ([]byte, error) {
	if length > freeSize {
		release, err := c.memory.acquire(ctx, length)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	buf, _, err := readUpTo(r, make([]byte, 0, length+1), length) // one more to see the end without growing
	return buf, err
}

// readUpTo appends to buf until r ends, or until buf holds more than limit bytes. While it grows, which it does by
// doubling, the old buffer is there too. On an error it gives no bytes: a part of a response is none.
func readUpTo(r io.Reader, buf []byte, limit int64) (_ []byte, ended bool, _ error) {
	for int64(len(buf)) <= limit {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*int64(cap(buf)), limit+1)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF: // the end is io.EOF itself; one that is wrapped is a broken connection
			return buf, int64(len(buf)) <= limit, nil
		case err != nil:
			return nil, false, err
		}
	}
	return buf, false, nil
}

// budget bounds the memory of large responses that are being read.
type budget struct {
	size int64
	free *semaphore.Weighted
}

func newBudget(size int64) *budget {
	return &budget{size: size, free: semaphore.NewWeighted(size)}
}

// acquire blocks until there are n bytes, or all there are if n is more, so that no response waits for ever. It fails
// only with ctx.
func (b *budget) acquire(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, b.size)
	if err := b.free.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { b.free.Release(n) }, nil
}
