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
	// readPiece is how many bytes of a body that holds room a client must send within readPatience: 1.6 KiB a second,
	// and so a little more than a body of 64 KiB needs to arrive within the default of Options.ReadTimeout.
	readPiece = 16 << 10

	// readPatience outlasts what a lost packet or a change of networks takes. Others give 5 s (the grace period of
	// Kestrel's MinRequestBodyDataRate) to 20 s (mod_reqtimeout of Apache).
	readPatience = 10 * time.Second
)

var errSlowBody = errors.New("the body did not arrive in time")

// bodyReader reads request bodies whole, each limited in size and time, the large ones together limited in memory.
type bodyReader struct {
	limit   int64         // bytes of one body
	timeout time.Duration // to find room, and again to read it all; without room to find the server's own counts
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

// readChunked reads a body of unknown size. Most are small and need no room; a larger one takes room for the largest
// there may be, because asking for more while holding some could leave all waiting for each other.
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

// acquire blocks until there is room for size bytes, at most for the timeout. Over HTTP/2 it does not block: what a
// client has sent of a body that waits would fill the window of its connection, and so keep all its other requests from
// being sent, while the answer that there is no room gives the window back.
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

// pacedBody reads content from a client that has to send it in time.
type pacedBody struct {
	io.Reader

	connection *http.ResponseController
	end        time.Time // of all
	piece      int       // bytes that are still to come before the next deadline
}

// pace bounds how long a client may take for content that holds room which others wait for. Its time begins now: it is
// not to pay for our waiting.
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
