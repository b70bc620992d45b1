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

const (
	// readPiece is how many bytes of a large body a client must send within readPatience. That is 1.6 KiB a second, a
	// little more than a body of 64 KiB needs to arrive within the default of Options.ReadTimeout.
	readPiece = 16 << 10

	// readPatience outlasts a lost packet or a change of networks. Other servers allow 5 s (the grace period of Kestrel's
	// MinRequestBodyDataRate) to 20 s (mod_reqtimeout of Apache).
	readPatience = 10 * time.Second
)

var errSlowBody = errors.New("the body did not arrive in time")

// bodyReader reads whole request bodies. Each is limited in size and time, and all large ones together in memory.
type bodyReader struct {
	limit   int64         // bytes of one body
	timeout time.Duration // to get room, and again to read a large body; for small ones the server's own timeout counts
	budget  *bodyBudget
}

func newBodyReader(limit, total int64, timeout time.Duration) *bodyReader {
	return &bodyReader{limit: limit, timeout: timeout, budget: newBodyBudget(total, limit)}
}

// body is a request body in memory.
type body struct {
	data     []byte
	giveBack func() // returns the room to the budget; nil: it has none
}

// release returns the room to the budget. The bytes may be kept, but are no longer counted.
func (b *body) release() {
	if b.giveBack != nil {
		b.giveBack()
	}
}

// read returns the whole body of r, which comes from client. The caller releases it. Errors: *http.MaxBytesError, at
// once when Content-Length is too large; errSlowBody; errNoRoom; *domain.Invalid when the body is cut off or malformed.
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

// readSized reads a body with a Content-Length.
func (b *bodyReader) readSized(w http.ResponseWriter, r *http.Request, client string, into *body) error {
	size := r.ContentLength
	if size > b.limit {
		return &http.MaxBytesError{Limit: b.limit}
	}
	content := io.Reader(r.Body)
	if size > smallBody {
		if err := b.acquire(r, client, size, into); err != nil {
			return err
		}
		content = b.pace(w, content)
	}
	into.data = make([]byte, size)
	_, err := io.ReadFull(content, into.data)
	return err
}

// readChunked reads a body of unknown size. Most are small and need no room. A larger one gets room for the largest
// that is allowed: if bodies asked for more while they hold some, all could wait for each other.
func (b *bodyReader) readChunked(w http.ResponseWriter, r *http.Request, client string, into *body) error {
	reader := http.MaxBytesReader(w, r.Body, b.limit)
	var buffer bytes.Buffer
	_, err := buffer.ReadFrom(io.LimitReader(reader, smallBody+1))
	if err == nil && buffer.Len() > smallBody {
		if err := b.acquire(r, client, b.limit, into); err != nil {
			return err
		}
		_, err = buffer.ReadFrom(b.pace(w, reader))
	}
	into.data = buffer.Bytes()
	return err
}

// acquire blocks until there is room for size bytes, at most for the timeout. Over HTTP/2 it does not block: the part
// of a waiting body that has arrived would fill the window of its connection, and block all other requests on it.
func (b *bodyReader) acquire(r *http.Request, client string, size int64, into *body) (err error) {
	if r.ProtoMajor >= 2 {
		into.giveBack, err = b.budget.tryAcquire(client, size)
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	defer cancel()
	into.giveBack, err = b.budget.acquire(ctx, client, size)
	return err
}

// pacedBody reads content that must arrive at a minimum rate.
type pacedBody struct {
	io.Reader

	connection *http.ResponseController
	end        time.Time // of all
	piece      int       // bytes that are still to come before the next deadline
}

// pace bounds how long a client may take to send content that holds room. Its time begins now, so that waiting for room
// does not count.
func (b *bodyReader) pace(w http.ResponseWriter, content io.Reader) *pacedBody {
	end := time.Now().Add(b.timeout) // the kernel's clock, not Options.Now
	return &pacedBody{Reader: content, connection: http.NewResponseController(w), end: end}
}

func (p *pacedBody) Read(into []byte) (int, error) {
	if p.piece == 0 {
		deadline := time.Now().Add(readPatience)
		if deadline.After(p.end) {
			deadline = p.end
		}
		if err := p.connection.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		p.piece = readPiece
	}
	n, err := p.Reader.Read(into[:min(len(into), p.piece)])
	p.piece -= n
	return n, err
}

// bodyError translates the errors of reading.
func bodyError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || errors.Is(err, errNoRoom) {
		return fmt.Errorf("read body: %w", err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlowBody
	}
	return &domain.Invalid{Field: "body", Reason: "is cut off or malformed"}
}
