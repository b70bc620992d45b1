// Package envelope reads and writes the wire format of all brokers: requests on their way to a worker, and results and
// dead letters as notices for other programs. Each is one JSON document.
//
// A JSON body is embedded byte for byte, never decoded and encoded again. Reading is tolerant, so that old versions,
// new versions and other programs can share a queue: unknown members are ignored, and null means "not given", except
// for payload. Reading is strict where two readers could disagree: a known member given twice, two bodies, a value
// outside its limits. The documents in testdata must decode for ever.
//
// All functions are pure and safe for concurrent use. Errors of Decode functions are a *domain.Invalid that names a
// member of the document. It repeats nothing that the sender wrote, except names: of a header field, and of members
// that are unknown.
//
// Times and durations are in whole milliseconds. Times are truncated, except not_before, which is rounded up so that
// nothing is sent too early. A timeout is rounded up when it is written, and to the nearest when it is read.
package envelope

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// Message is a request on the wire.
//
// It carries all of Request except Owner, Idempotency and ResentFrom, which only the store needs. SubmittedAt is the
// member timestamp; Deadline is metadata.timeout, counted from there. All fields of Header are in headers. The members
// metadata.content_type, traceparent and tracestate repeat three of them for consumers that look there; when read, they
// are used where headers has no such field.
type Message struct {
	Request    domain.Request
	RetryCount int // attempts charged so far

	// Ignored names some of the members that Decode ignored: those it does not know, and an id that is not valid. Append
	// does not use it.
	Ignored []string
}

// Names of members.
const (
	keyID        = "correlation_id"
	keyTimestamp = "timestamp"
	keyHeaders   = "headers"
	keyError     = "error"

	keyPayload  = "payload"
	keyBody     = "body"
	keyBodyRef  = "body_ref" // of other programs; we never write it
	keyMetadata = "metadata"

	keyEndpoint    = "endpoint"
	keyMethod      = "method"
	keyPath        = "path"
	keyQuery       = "query"
	keyContentType = "content_type"
	keyPriority    = "priority"
	keyTimeout     = "timeout"
	keyDelay       = "delay" // of other programs; we write not_before
	keyNotBefore   = "not_before"
	keyRetryCount  = "retry_count"
	keyMaxAttempts = "max_attempts"
	keyLabels      = "labels"
	keyTraceparent = "traceparent"
	keyTracestate  = "tracestate"
)

// Names of header fields, as domain.Header spells them.
const (
	fieldContentType = "Content-Type"
	fieldTraceparent = "Traceparent"
	fieldTracestate  = "Tracestate"
)

// smallDocument is the approximate size in bytes of a document without a body.
const smallDocument = 512

// Append appends a message to dst and returns the extended slice. It keeps nothing of m.
//
// A JSON body becomes the payload, byte for byte; any other body is written in base64. Elsewhere, bytes that are not
// UTF-8 become U+FFFD, and a header field whose name or value is invalid (RFC 9110 sections 5.1 and 5.5) is left out;
// Faithful reports whether anything is lost. The caller keeps to the limits of Decode.
func Append(dst []byte, m *Message) []byte {
	r := &m.Request
	w := rawjson.Append(grow(dst, r.Header, r.Body))
	w.Text(keyID, string(r.ID))
	if !r.SubmittedAt.IsZero() {
		w.Time(keyTimestamp, r.SubmittedAt)
	}
	payload := appendBody(w, m)
	appendHeader(w, r.Header)
	w.Open(keyMetadata)
	appendTarget(w, r)
	if !payload {
		appendField(w, keyContentType, r.Header.Get(fieldContentType))
	}
	appendSchedule(w, m)
	appendLabels(w, r.Labels)
	appendField(w, keyTraceparent, r.Header.Get(fieldTraceparent))
	appendField(w, keyTracestate, strings.Join(r.Header[fieldTracestate], ",")) // a list (RFC 9110 section 5.3)
	w.End()
	return w.Close()
}

// grow makes room for a document, so that the buffer seldom grows while the document is written.
func grow(dst []byte, header domain.Header, body []byte) []byte {
	size := smallDocument + base64.StdEncoding.EncodedLen(len(body))
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value) + len(`"":"",`)
		}
	}
	if cap(dst)-len(dst) >= size {
		return dst
	}
	return append(make([]byte, 0, len(dst)+size), dst...)
}

// appendBody reports whether the body became the payload.
func appendBody(w *rawjson.Writer, m *Message) (payload bool) {
	body := m.Request.Body
	switch {
	case body == nil:
	case isPayload(m.Request.Header, body):
		w.Raw(keyPayload, body)
		return true
	default:
		w.Base64(keyBody, body)
	}
	return false
}

// isPayload reports whether a body can be embedded and restored byte for byte. Space around it would be lost in the
// document.
func isPayload(header domain.Header, body []byte) bool {
	return len(body) > 0 && body[0] > ' ' && body[len(body)-1] > ' ' &&
		IsJSON(header.Get(fieldContentType)) && embeddable(body)
}

func appendTarget(w *rawjson.Writer, r *domain.Request) {
	appendText(w, keyEndpoint, r.Endpoint)
	appendText(w, keyMethod, r.Method)
	appendText(w, keyPath, r.Path)
	appendText(w, keyQuery, r.Query)
}

func appendSchedule(w *rawjson.Writer, m *Message) {
	r := &m.Request
	appendCount(w, keyPriority, r.Priority)
	if !r.Deadline.IsZero() {
		w.Seconds(keyTimeout, max(1, milliseconds(r.Deadline.Sub(r.SubmittedAt))))
	}
	if !r.NotBefore.IsZero() {
		w.Time(keyNotBefore, ceil(r.NotBefore))
	}
	appendCount(w, keyRetryCount, m.RetryCount)
	appendCount(w, keyMaxAttempts, r.MaxAttempts)
}

func appendLabels(w *rawjson.Writer, labels map[string]string) {
	if len(labels) == 0 {
		return
	}
	w.Open(keyLabels)
	for _, name := range sortedKeys(labels) {
		w.Text(name, labels[name])
	}
	w.End()
}

// appendText and appendCount leave out zero values.
func appendText(w *rawjson.Writer, name, value string) {
	if value != "" {
		w.Text(name, value)
	}
}

func appendCount(w *rawjson.Writer, name string, value int) {
	if value != 0 {
		w.Int(name, int64(value))
	}
}

// appendField repeats the value of a header field, if Decode accepts it.
func appendField(w *rawjson.Writer, name, value string) {
	if len(value) <= maxRepeated && isFieldValue(value) {
		appendText(w, name, value)
	}
}

// milliseconds rounds a duration up.
func milliseconds(span time.Duration) int64 {
	whole := int64(span / time.Millisecond)
	if span > time.Duration(whole)*time.Millisecond {
		whole++
	}
	return whole
}

// ceil rounds a time up to a whole millisecond.
func ceil(t time.Time) time.Time {
	cut := t.Truncate(time.Millisecond)
	if cut.Before(t) {
		return cut.Add(time.Millisecond)
	}
	return cut
}
