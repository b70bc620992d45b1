package embedded

import (
	"maps"
	"slices"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// row is a stored record, with what the queue needs to know of it. Times in int64 are milliseconds since 1970.
type row struct {
	domain.Record

	answered   bool   // there is a response row
	statusCode int    // of that response; a dead letter outlives the response
	token      uint64 // of the current or last delivery
	place      place  // in the queue, while it is not final
	size       int64  // domain.Request.Size
	expires    int64  // time of its row in the expiry index
	group      uint64 // the group commit that wrote it; durable together with that

	idempotency        string // the caller's key; empty: none
	idempotencyExpires int64

	reason         domain.Reason
	problem        string
	completedAt    time.Time
	processingTime time.Duration
}

// place is where an unfinished request is in the queue: in the ready rows, or in the due rows if due is not zero.
type place struct {
	seq uint64
	due int64 // milliseconds since 1970
}

// result returns the result of a final row without its response.
func (r *row) result() *domain.Result {
	return &domain.Result{
		Reason: r.reason, Error: r.problem, CompletedAt: r.completedAt, ProcessingTime: r.processingTime,
	}
}

func encodeRow(r *row) []byte {
	e := newEncoder(256)
	e.text(string(r.Status))
	e.text(r.Endpoint)
	e.text(r.Owner)
	e.int(int64(r.Priority))
	e.time(r.SubmittedAt)
	e.time(r.UpdatedAt)
	e.time(r.NextAttemptAt)
	e.time(r.Deadline)
	e.int(int64(r.Attempts))
	e.int(int64(r.Deliveries))
	e.text(string(r.ResentFrom))
	e.bool(r.answered)
	e.int(int64(r.statusCode))
	e.int(r.ResponseSize)
	e.uint(r.token)
	e.uint(r.place.seq)
	e.int(r.place.due)
	e.int(r.size)
	e.int(r.expires)
	e.uint(r.group)
	e.text(r.idempotency)
	e.int(r.idempotencyExpires)
	e.text(string(r.reason))
	e.text(r.problem)
	e.time(r.completedAt)
	e.int(int64(r.processingTime))
	return e.buf
}

func decodeRow(id domain.ID, value []byte) (*row, error) {
	d := newDecoder(value)
	r := &row{Record: domain.Record{
		ID:            id,
		Status:        domain.Status(d.text()),
		Endpoint:      d.text(),
		Owner:         d.text(),
		Priority:      int(d.int()),
		SubmittedAt:   d.time(),
		UpdatedAt:     d.time(),
		NextAttemptAt: d.time(),
		Deadline:      d.time(),
		Attempts:      int(d.int()),
		Deliveries:    int(d.int()),
		ResentFrom:    domain.ID(d.text()),
	}}
	r.answered = d.bool()
	r.statusCode = int(d.int())
	r.ResponseSize = d.int()
	r.token = d.uint()
	r.place = place{seq: d.uint(), due: d.int()}
	r.size = d.int()
	r.expires = d.int()
	r.group = d.uint()
	r.idempotency = d.text()
	r.idempotencyExpires = d.int()
	r.reason = domain.Reason(d.text())
	r.problem = d.text()
	r.completedAt = d.time()
	r.processingTime = time.Duration(d.int())
	return r, d.end("record")
}

// encoded is a value that contains a body. The body may be large, so it is copied only once, into the batch.
type encoded struct{ head, body, tail []byte }

func (v encoded) size() int { return len(v.head) + len(v.body) + len(v.tail) }

// copyTo copies the value to a slice of its size.
func (v encoded) copyTo(into []byte) {
	n := copy(into, v.head)
	n += copy(into[n:], v.body)
	copy(into[n:], v.tail)
}

// encodeRequest leaves out what the record holds too; decodeRequest takes it from there. The body is not copied.
func encodeRequest(r *domain.Request) encoded {
	e := newEncoder(512)
	e.text(r.Method)
	e.text(r.Path)
	e.text(r.Query)
	e.header(r.Header)
	e.bool(r.Body != nil)
	e.uint(uint64(len(r.Body)))
	body := len(e.buf)
	e.uint(uint64(len(r.Labels)))
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		e.text(name)
		e.text(r.Labels[name])
	}
	e.time(r.NotBefore)
	e.int(int64(r.MaxAttempts))
	return encoded{head: e.buf[:body], body: r.Body, tail: e.buf[body:]}
}

// decodeRequest decodes the request of a record. The body is a copy of its bytes in value.
func decodeRequest(rec *domain.Record, value []byte) (domain.Request, error) {
	d := newDecoder(value)
	r := domain.Request{
		ID: rec.ID, Endpoint: rec.Endpoint, Owner: rec.Owner, Priority: rec.Priority,
		SubmittedAt: rec.SubmittedAt, Deadline: rec.Deadline, ResentFrom: rec.ResentFrom,
		Method: d.text(), Path: d.text(), Query: d.text(), Header: d.header(),
	}
	if d.bool() {
		r.Body = append([]byte{}, d.bytes()...)
	} else {
		d.bytes()
	}
	if n := d.count(); n > 0 {
		r.Labels = make(map[string]string, min(n, maxHint))
		for i := 0; i < n && !d.bad; i++ {
			name := d.text()
			r.Labels[name] = d.text()
		}
	}
	r.NotBefore = d.time()
	r.MaxAttempts = int(d.int())
	return r, d.end("request")
}

// encodeResponse does not copy the body.
func encodeResponse(r *domain.Response) encoded {
	e := newEncoder(256)
	e.int(int64(r.StatusCode))
	e.header(r.Header)
	e.uint(uint64(len(r.Body)))
	return encoded{head: e.buf, body: r.Body}
}

// decodeResponse decodes a response. Its body shares memory with value, because a copy could be large.
func decodeResponse(value []byte) (*domain.Response, error) {
	d := newDecoder(value)
	r := &domain.Response{StatusCode: int(d.int()), Header: d.header(), Body: d.bytes()}
	return r, d.end("response")
}
