package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// smallBody is the size in bytes up to which a body needs no room in the budget.
const smallBody = 64 << 10

var errSlowBody = errors.New("the body did not arrive in time")

// bodyReader reads request bodies whole, each limited in size and time, the large ones together limited in memory.
type bodyReader struct {
	limit   int64         // bytes of one body
	timeout time.Duration // to find room, and again to read; without room to find the server's own counts
	budget  *bodyBudget
}

func newBodyReader(limit, total int64, timeout time.Duration) *bodyReader {
	return &bodyReader{limit: limit, timeout: timeout, budget: newBodyBudget(total, limit)}
}

// body is a request body in memory.
type body struct {
	data     []byte
	giveBack func() // the room in the budget; nil: it took none
}

// release gives the room back. The bytes may be kept, but count no more.
func (b *body) release() {
	if b.giveBack != nil {
		b.giveBack()
	}
}

// read gives the whole body of r, which comes from client; the caller releases it. Errors: *http.MaxBytesError, without
// reading where Content-Length tells; errSlowBody; errNoRoom; *domain.Invalid when it is cut off or malformed.
func (b *bodyReader) read(w http.ResponseWriter, r *http.Request, client string) (body, error) {
	var into body
	var err error
	if r.ContentLength >= 0 {
		err = b.readSized(w, r, client, &into)
	} else {
		err = b.readChunked(w, r, client, &into)
	}
	if err != nil {
		into.release()
		return body{}, bodyError(err)
	}
	w.Header().Del("Connection") // see closeUnread
	return into, nil
}

// readSized reads a body whose size is announced.
func (b *bodyReader) readSized(w http.ResponseWriter, r *http.Request, client string, into *body) error {
	size := r.ContentLength
	if size > b.limit {
		return &http.MaxBytesError{Limit: b.limit}
	}
	if size > smallBody {
		if err := b.acquire(w, r, client, size, into); err != nil {
			return err
		}
	}
	into.data = make([]byte, size)
	_, err := io.ReadFull(r.Body, into.data)
	return err
}

// readChunked reads a body of unknown size. Most are small and need no room; a larger one takes room for the largest
// there may be, because asking for more while holding some could leave all waiting for each other.
func (b *bodyReader) readChunked(w http.ResponseWriter, r *http.Request, client string, into *body) error {
	reader := http.MaxBytesReader(w, r.Body, b.limit)
	var buffer bytes.Buffer
	_, err := buffer.ReadFrom(io.LimitReader(reader, smallBody+1))
	if err == nil && buffer.Len() > smallBody {
		if err := b.acquire(w, r, client, b.limit, into); err != nil {
			return err
		}
		_, err = buffer.ReadFrom(reader)
	}
	into.data = buffer.Bytes()
	return err
}

// acquire blocks until there is room for size bytes, at most for the timeout. The time to read begins anew then: the
// client is not to pay for our waiting.
func (b *bodyReader) acquire(w http.ResponseWriter, r *http.Request, client string, size int64, into *body) error {
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	defer cancel()
	release, err := b.budget.acquire(ctx, client, size)
	if err != nil {
		return err
	}
	into.giveBack = release
	deadline := time.Now().Add(b.timeout) // the kernel's clock, not Options.Now
	return http.NewResponseController(w).SetReadDeadline(deadline)
}

// bodyError translates what reading met.
func bodyError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || errors.Is(err, errNoRoom) {
		return fmt.Errorf("read body: %w", err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlowBody
	}
	return &domain.Invalid{Field: "body", Reason: "is cut off or malformed"}
}
