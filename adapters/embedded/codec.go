package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Values are a version byte and then fields in a fixed order: varints, and strings with their length before them. They
// are ours alone, so they are made for speed; what other programs read is the wire message of the brokers.
const codecVersion = 1

// errCorrupt is a value that we cannot have written.
var errCorrupt = errors.New("corrupt value")

// row is a record as it is stored, with what the queue needs to know of it.
type row struct {
	domain.Record

	answered bool   // there is a response row
	token    uint64 // of the current or last delivery
	place    place  // where it waits, while it is not final
	size     int64  // domain.Request.Size
	expires  int64  // time of its row in the expiry index, in milliseconds since 1970
	group    uint64 // group commit that wrote it: it is durable once that one is

	idempotency        string // the caller's key; empty: none
	idempotencyExpires int64

	reason         domain.Reason
	problem        string
	completedAt    time.Time
	processingTime time.Duration
}

// place is where an unfinished request stands in the queue: in the ready rows, or in the due rows if due is not zero.
type place struct {
	seq uint64
	due int64 // milliseconds since 1970
}

// result gives the result of a final row without its response.
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
	e.bool(r.answered)
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
	}}
	r.answered = d.bool()
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

// encodeRequest leaves out what the record holds as well; withRecord puts it back.
func encodeRequest(r *domain.Request) []byte {
	e := newEncoder(len(r.Body) + 512)
	e.text(r.Method)
	e.text(r.Path)
	e.text(r.Query)
	e.header(r.Header)
	e.bool(r.Body != nil)
	e.bytes(r.Body)
	e.uint(uint64(len(r.Labels)))
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		e.text(name)
		e.text(r.Labels[name])
	}
	e.time(r.NotBefore)
	e.int(int64(r.MaxAttempts))
	return e.buf
}

// decodeRequest copies the body out of value and takes the rest from the record.
func decodeRequest(rec *domain.Record, value []byte) (domain.Request, error) {
	d := newDecoder(value)
	r := domain.Request{
		ID: rec.ID, Endpoint: rec.Endpoint, Owner: rec.Owner, Priority: rec.Priority,
		SubmittedAt: rec.SubmittedAt, Deadline: rec.Deadline,
		Method: d.text(), Path: d.text(), Query: d.text(), Header: d.header(),
	}
	if d.bool() {
		r.Body = append([]byte{}, d.bytes()...)
	} else {
		d.bytes()
	}
	if n := d.count(); n > 0 {
		r.Labels = make(map[string]string, n)
		for range n {
			name := d.text()
			r.Labels[name] = d.text()
		}
	}
	r.NotBefore = d.time()
	r.MaxAttempts = int(d.int())
	return r, d.end("request")
}

func encodeResponse(r *domain.Response) []byte {
	e := newEncoder(len(r.Body) + 256)
	e.int(int64(r.StatusCode))
	e.header(r.Header)
	e.bytes(r.Body)
	return e.buf
}

func decodeResponse(value []byte) (*domain.Response, error) {
	d := newDecoder(value)
	r := &domain.Response{StatusCode: int(d.int()), Header: d.header()}
	r.Body = append([]byte{}, d.bytes()...)
	return r, d.end("response")
}

type encoder struct{ buf []byte }

func newEncoder(size int) *encoder {
	e := &encoder{buf: make([]byte, 0, size)}
	e.buf = append(e.buf, codecVersion)
	return e
}

func (e *encoder) uint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) int(v int64)   { e.buf = binary.AppendVarint(e.buf, v) }

func (e *encoder) bool(v bool) {
	if v {
		e.buf = append(e.buf, 1)
	} else {
		e.buf = append(e.buf, 0)
	}
}

func (e *encoder) text(v string) {
	e.uint(uint64(len(v)))
	e.buf = append(e.buf, v...)
}

func (e *encoder) bytes(v []byte) {
	e.uint(uint64(len(v)))
	e.buf = append(e.buf, v...)
}

// time keeps microseconds; the zero time stays zero.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.int(0)
		return
	}
	e.int(t.UnixMicro())
}

func (e *encoder) header(h domain.Header) {
	e.uint(uint64(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		e.text(name)
		e.uint(uint64(len(h[name])))
		for _, value := range h[name] {
			e.text(value)
		}
	}
}

// decoder reads what encoder wrote. The first fault sticks, and everything after it reads as zero.
type decoder struct {
	buf []byte
	bad bool
}

func newDecoder(value []byte) *decoder {
	if len(value) == 0 || value[0] != codecVersion {
		return &decoder{bad: true}
	}
	return &decoder{buf: value[1:]}
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if !d.skip(n) {
		return 0
	}
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.buf)
	if !d.skip(n) {
		return 0
	}
	return v
}

// skip steps over n bytes and reports whether there were any to read.
func (d *decoder) skip(n int) bool {
	if d.bad || n <= 0 {
		d.fail()
		return false
	}
	d.buf = d.buf[n:]
	return true
}

func (d *decoder) fail() { d.bad, d.buf = true, nil }

func (d *decoder) bool() bool { return d.uint() == 1 }

// bytes returns a part of the value that was decoded, not a copy.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail()
	}
	if d.bad {
		return nil
	}
	v := d.buf[:n]
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) text() string { return string(d.bytes()) }

// count reads a number of items, each of which takes at least one byte: so a corrupt one cannot ask for much memory.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) time() time.Time {
	micros := d.int()
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func (d *decoder) header() domain.Header {
	n := d.count()
	h := make(domain.Header, n)
	for range n {
		name := d.text()
		values := make([]string, d.count())
		for i := range values {
			values[i] = d.text()
		}
		h[name] = values
	}
	return h
}

func (d *decoder) end(what string) error {
	if d.bad || len(d.buf) != 0 {
		return fmt.Errorf("decode %s: %w", what, errCorrupt)
	}
	return nil
}
