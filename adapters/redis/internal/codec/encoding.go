// Package codec reads and writes what Redis keeps of a request: the values in its record and its dead letter.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// A value is a row of fields: number, length and bytes of each, number and length as varints. A reader skips numbers
// that it does not know, so that processes of different versions share one Redis. A number is never used again for
// something else. Unlike JSON the format keeps bytes that are not UTF-8.

// errCorrupt is the error for a value that this program cannot have written.
var errCorrupt = errors.New("corrupt value")

type encoder struct{ buf []byte }

func newEncoder(size int) *encoder { return &encoder{buf: make([]byte, 0, size)} }

func put[T string | []byte](e *encoder, f uint64, v T) {
	e.buf = binary.AppendUvarint(e.buf, f)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

// text leaves out what is empty, and so do int and time.
func (e *encoder) text(f uint64, v string) {
	if v != "" {
		put(e, f, v)
	}
}

func (e *encoder) int(f uint64, v int64) {
	if v != 0 {
		var buf [binary.MaxVarintLen64]byte
		put(e, f, buf[:binary.PutVarint(buf[:], v)])
	}
}

// time keeps microseconds.
func (e *encoder) time(f uint64, t time.Time) {
	if !t.IsZero() {
		e.int(f, t.UnixMicro())
	}
}

// pairs writes a name and then its values, for each name.
func (e *encoder) pairs(name, value uint64, m map[string][]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		put(e, name, key)
		for _, v := range m[key] {
			put(e, value, v)
		}
	}
}

// decode calls read with each field of a value. The bytes are a part of the value.
func decode(value []byte, read func(f uint64, v []byte)) error {
	for len(value) > 0 {
		number, n := binary.Uvarint(value)
		if n <= 0 {
			return errCorrupt
		}
		length, m := binary.Uvarint(value[n:])
		if m <= 0 || length > uint64(len(value)-n-m) {
			return errCorrupt
		}
		begin := n + m
		read(number, value[begin:begin+int(length)])
		value = value[begin+int(length):]
	}
	return nil
}

func toInt(v []byte) int64 {
	i, _ := binary.Varint(v)
	return i
}

func toTime(v []byte) time.Time { return time.UnixMicro(toInt(v)).UTC() }

// pairsReader puts a header together again, field by field.
type pairsReader struct {
	m    domain.Header
	name string
}

func (p *pairsReader) key(v []byte) {
	p.name = string(v)
	p.m[p.name] = nil
}

func (p *pairsReader) value(v []byte) { p.m[p.name] = append(p.m[p.name], string(v)) }

// The fields of the facts: what never changes of a record.
const (
	factEndpoint = iota + 1
	factOwner
	factPriority
	factSubmitted
	factDeadline
	factResentFrom
)

// EncodeFacts writes what never changes of a record.
func EncodeFacts(r *domain.Request) []byte {
	e := newEncoder(96)
	e.text(factEndpoint, r.Endpoint)
	e.text(factOwner, r.Owner)
	e.int(factPriority, int64(r.Priority))
	e.time(factSubmitted, r.SubmittedAt)
	e.time(factDeadline, r.Deadline)
	e.text(factResentFrom, string(r.ResentFrom))
	return e.buf
}

// DecodeFacts reads what never changes of a record.
func DecodeFacts(id domain.ID, value []byte) (domain.Record, error) {
	r := domain.Record{ID: id}
	err := decode(value, func(f uint64, v []byte) {
		switch f {
		case factEndpoint:
			r.Endpoint = string(v)
		case factOwner:
			r.Owner = string(v)
		case factPriority:
			r.Priority = int(toInt(v))
		case factSubmitted:
			r.SubmittedAt = toTime(v)
		case factDeadline:
			r.Deadline = toTime(v)
		case factResentFrom:
			r.ResentFrom = domain.ID(v)
		}
	})
	if err != nil || len(value) == 0 {
		return domain.Record{}, fmt.Errorf("read record %s: %w", id, errCorrupt)
	}
	return r, nil
}

// The fields of the rest of a request.
const (
	requestMethod = iota + 1
	requestPath
	requestQuery
	requestHeaderName
	requestHeaderValue
	requestLabelName
	requestLabelValue
	requestNotBefore
	requestMaxAttempts
	requestBody // missing: no body was given
)

// EncodeRequest writes a request without what the facts hold.
func EncodeRequest(r *domain.Request) []byte {
	e := newEncoder(int(r.Size()) + 256)
	e.text(requestMethod, r.Method)
	e.text(requestPath, r.Path)
	e.text(requestQuery, r.Query)
	e.pairs(requestHeaderName, requestHeaderValue, r.Header)
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		put(e, requestLabelName, name)
		put(e, requestLabelValue, r.Labels[name])
	}
	e.time(requestNotBefore, r.NotBefore)
	e.int(requestMaxAttempts, int64(r.MaxAttempts))
	if r.Body != nil {
		put(e, requestBody, r.Body)
	}
	return e.buf
}

// DecodeRequest reads a request, with the facts from its record. The body is a part of value.
func DecodeRequest(rec *domain.Record, value []byte) (domain.Request, error) {
	r := domain.Request{
		ID: rec.ID, Endpoint: rec.Endpoint, Owner: rec.Owner, Priority: rec.Priority, ResentFrom: rec.ResentFrom,
		SubmittedAt: rec.SubmittedAt, Deadline: rec.Deadline,
	}
	header, label := pairsReader{m: make(domain.Header)}, ""
	err := decode(value, func(f uint64, v []byte) {
		switch f {
		case requestMethod:
			r.Method = string(v)
		case requestPath:
			r.Path = string(v)
		case requestQuery:
			r.Query = string(v)
		case requestHeaderName:
			header.key(v)
		case requestHeaderValue:
			header.value(v)
		case requestLabelName:
			label = string(v)
		case requestLabelValue:
			if r.Labels == nil {
				r.Labels = make(map[string]string)
			}
			r.Labels[label] = string(v)
		case requestNotBefore:
			r.NotBefore = toTime(v)
		case requestMaxAttempts:
			r.MaxAttempts = int(toInt(v))
		case requestBody:
			r.Body = slices.Clip(v)
		}
	})
	r.Header = header.m
	if err != nil {
		return domain.Request{}, fmt.Errorf("read request %s: %w", rec.ID, err)
	}
	return r, nil
}

// The fields of a response.
const (
	responseStatus = iota + 1
	responseHeaderName
	responseHeaderValue
	responseBody
)

// EncodeResponse writes a response.
func EncodeResponse(r *domain.Response) []byte {
	e := newEncoder(len(r.Body) + 256)
	e.int(responseStatus, int64(r.StatusCode))
	e.pairs(responseHeaderName, responseHeaderValue, r.Header)
	put(e, responseBody, r.Body)
	return e.buf
}

// DecodeResponse reads a response. The body is a part of value.
func DecodeResponse(value []byte) (*domain.Response, error) {
	r := &domain.Response{}
	header := pairsReader{m: make(domain.Header)}
	err := decode(value, func(f uint64, v []byte) {
		switch f {
		case responseStatus:
			r.StatusCode = int(toInt(v))
		case responseHeaderName:
			header.key(v)
		case responseHeaderValue:
			header.value(v)
		case responseBody:
			r.Body = slices.Clip(v)
		}
	})
	r.Header = header.m
	if err != nil {
		return nil, fmt.Errorf("read response: %w", err)
	}
	return r, nil
}
