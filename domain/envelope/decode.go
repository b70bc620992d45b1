package envelope

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

const metadataPrefix = keyMetadata + "."

// document is a message while it is read.
type document struct {
	Message

	payload, body     []byte // undecoded; nil: not given
	headers, metadata []byte

	bodyRef     string // where another program keeps the body; we cannot fetch it
	timeout     time.Duration
	delay       time.Duration
	contentType string
	traceparent string
	tracestate  string
}

// Decode reads a message of at most limit bytes. Arrived is when the broker received it, the same at every delivery; it
// is used where the message has no timestamp.
//
// Request.ID is empty when the message has no valid one: the caller derives one from the message's place in the queue.
// Request.Deadline is zero when the message has no timeout; delay becomes Request.NotBefore. A timestamp may be wrong
// or hostile, so it is up to the caller to bound both. Request.Body may share memory with data, which must not be
// changed afterwards. Request.Header is never nil; the header policy has not been applied.
func Decode(data []byte, arrived time.Time, limit int) (Message, error) {
	d, err := decode(data, arrived, limit)
	if err != nil {
		return Message{}, err
	}
	if d.bodyRef != "" {
		return Message{}, errBodyRef
	}
	return d.Message, nil
}

// decode reads a message as Decode does, but leaves a body_ref to its caller.
func decode(data []byte, arrived time.Time, limit int) (document, error) {
	object, err := open(data, limit)
	if err != nil {
		return document{}, err
	}
	var d document
	ignored := (*names)(&d.Ignored)
	if err := readObject("", object, messageMembers, &d, ignored); err != nil {
		return document{}, err
	}
	if d.metadata != nil {
		if err := readObject(metadataPrefix, d.metadata, metadataMembers, &d, ignored); err != nil {
			return document{}, err
		}
	}
	if d.delay > 0 && !d.Request.NotBefore.IsZero() {
		return document{}, &domain.Invalid{Field: metadataPrefix + keyNotBefore, Reason: "cannot be combined with delay"}
	}
	if err := d.decodeBody(); err != nil {
		return document{}, err
	}
	if err := d.decodeHeader(); err != nil {
		return document{}, err
	}
	d.setTimes(arrived)
	return d, nil
}

var messageMembers = []member[document]{
	{name: keyID, read: (*document).setID},
	{name: keyTimestamp, read: func(d *document, v []byte) string { return readTime(&d.Request.SubmittedAt, v, floor) }},
	{name: keyPayload, read: func(d *document, v []byte) string { d.payload = v; return "" }, nullable: true},
	{name: keyBody, read: func(d *document, v []byte) string { d.body = v; return "" }},
	{name: keyBodyRef, read: func(d *document, v []byte) string { return readText(&d.bodyRef, v, maxBodyRef) }},
	{name: keyHeaders, read: func(d *document, v []byte) string { d.headers = v; return "" }},
	{name: keyMetadata, read: (*document).setMetadata},
}

var metadataMembers = []member[document]{
	{name: keyEndpoint, read: func(d *document, v []byte) string {
		return readText(&d.Request.Endpoint, v, MaxEndpoint)
	}},
	{name: keyMethod, read: (*document).setMethod},
	{name: keyPath, read: (*document).setPath},
	{name: keyQuery, read: (*document).setQuery},
	{name: keyContentType, read: func(d *document, v []byte) string { return readFieldValue(&d.contentType, v) }},
	{name: keyPriority, read: func(d *document, v []byte) string {
		return readPriority(&d.Request.Priority, v)
	}},
	{name: keyTimeout, read: func(d *document, v []byte) string { return readSpan(&d.timeout, v, time.Millisecond) }},
	{name: keyDelay, read: func(d *document, v []byte) string { return readSpan(&d.delay, v, 0) }},
	{name: keyNotBefore, read: func(d *document, v []byte) string { return readTime(&d.Request.NotBefore, v, ceil) }},
	{name: keyRetryCount, read: func(d *document, v []byte) string {
		return readInteger(&d.RetryCount, v, 0, maxRetryCount)
	}},
	{name: keyMaxAttempts, read: func(d *document, v []byte) string {
		return readInteger(&d.Request.MaxAttempts, v, 0, MaxAttempts)
	}},
	{name: keyLabels, read: (*document).setLabels},
	{name: keyTraceparent, read: func(d *document, v []byte) string { return readFieldValue(&d.traceparent, v) }},
	{name: keyTracestate, read: func(d *document, v []byte) string { return readFieldValue(&d.tracestate, v) }},
}

// setID ignores an id that is not valid, and says so.
func (d *document) setID(value []byte) (reason string) {
	if !readID(&d.Request.ID, value) && string(value) != `""` {
		(*names)(&d.Ignored).add(keyID)
	}
	return ""
}

func (d *document) setMetadata(value []byte) (reason string) {
	if value[0] != '{' {
		return reasonObject
	}
	d.metadata = value
	return ""
}

// setMethod keeps the case: methods are case-sensitive (RFC 9110 section 9.1).
func (d *document) setMethod(value []byte) (reason string) {
	reason = readText(&d.Request.Method, value, MaxMethod)
	if reason == "" && d.Request.Method != "" && !isToken(d.Request.Method) {
		return "is not a token (RFC 9110 section 9.1)"
	}
	return reason
}

func (d *document) setPath(value []byte) (reason string) {
	if reason := readText(&d.Request.Path, value, MaxTarget); reason != "" {
		return reason
	}
	return domain.CheckPath(d.Request.Path)
}

func (d *document) setQuery(value []byte) (reason string) {
	if reason := readText(&d.Request.Query, value, MaxTarget); reason != "" {
		return reason
	}
	return domain.CheckQuery(d.Request.Query)
}

func (d *document) setLabels(value []byte) (reason string) {
	if value[0] != '{' {
		return reasonObject
	}
	labels := make(map[string]string)
	for key, value := range rawjson.Members(value) {
		label := ""
		reason := readText(&label, value, MaxLabelValue)
		_, twice := labels[string(key)]
		switch {
		case reason != "":
			return "a value " + reason
		case len(key) > MaxLabelKey:
			return fmt.Sprintf("a key is longer than %d bytes", MaxLabelKey)
		case twice:
			return "a key appears twice"
		case len(labels) == MaxLabels:
			return fmt.Sprintf("has more than %d entries", MaxLabels)
		}
		labels[string(key)] = label
	}
	if len(labels) > 0 {
		d.Request.Labels = labels
	}
	return ""
}

// readFieldValue reads a string that becomes the value of a header field.
func readFieldValue(into *string, value []byte) (reason string) {
	reason = readText(into, value, maxRepeated)
	if reason == "" && !isFieldValue(*into) {
		return reasonFieldValue
	}
	return reason
}

func (d *document) decodeBody() error {
	if d.payload != nil && d.body != nil || d.bodyRef != "" && (d.payload != nil || d.body != nil) {
		return &domain.Invalid{Field: "message", Reason: "has more than one of payload, body and body_ref"}
	}
	d.Request.Body = d.payload
	if d.body == nil {
		return nil
	}
	body, reason := decodeBase64(d.body)
	if reason != "" {
		return &domain.Invalid{Field: keyBody, Reason: reason}
	}
	d.Request.Body = body
	return nil
}

// decodeBase64 reads a string in standard base64. Without a reason, decoded is never nil.
func decodeBase64(value []byte) (decoded []byte, reason string) {
	encoded, ok := rawjson.Text(value)
	if !ok {
		return nil, reasonText
	}
	decoded, err := base64.StdEncoding.AppendDecode([]byte{}, encoded)
	if err != nil {
		return nil, "is not base64 with padding (RFC 4648 section 4)"
	}
	return decoded, ""
}

// decodeHeader reads the header fields, and adds those that are only in metadata.
func (d *document) decodeHeader() error {
	f := fields{header: make(domain.Header)}
	reason := ""
	if d.headers != nil {
		reason = f.read(d.headers)
	}
	if reason == "" {
		reason = d.fillIn(&f)
	}
	if reason != "" {
		return &domain.Invalid{Field: keyHeaders, Reason: reason}
	}
	d.Request.Header = f.header
	return nil
}

func (d *document) fillIn(f *fields) (reason string) {
	if d.contentType == "" && d.payload != nil {
		d.contentType = contentTypeJSON
	}
	// A tracestate belongs to the traceparent it came with (W3C Trace Context section 3.3).
	if f.header.Has(fieldTraceparent) || f.header.Has(fieldTracestate) {
		d.traceparent, d.tracestate = "", ""
	}
	for _, field := range [...]struct{ name, value string }{
		{fieldContentType, d.contentType},
		{fieldTraceparent, d.traceparent},
		{fieldTracestate, d.tracestate},
	} {
		if field.value == "" || f.header.Has(field.name) {
			continue
		}
		if reason := f.add(field.name, []byte(field.value)); reason != "" {
			return reason
		}
	}
	return ""
}

func (d *document) setTimes(arrived time.Time) {
	r := &d.Request
	if r.SubmittedAt.IsZero() {
		r.SubmittedAt = floor(arrived.UTC())
	}
	if d.timeout > 0 {
		r.Deadline = r.SubmittedAt.Add(d.timeout)
	}
	d.setDelay()
}

// setDelay counts the delay from the submission.
func (d *document) setDelay() {
	if d.delay > 0 {
		d.Request.NotBefore = d.Request.SubmittedAt.Add(d.delay)
	}
	if d.Request.NotBefore.After(lastTime) {
		d.Request.NotBefore = lastTime
	}
}

// lastTime is the last one that a message can have (RFC 3339 section 5.6).
var lastTime = time.Date(9999, time.December, 31, 23, 59, 59, 999_000_000, time.UTC)

// targeted reports whether a message says what to call. A request without a body may say no more than that.
func (d *document) targeted() bool {
	r := &d.Request
	return r.Endpoint != "" || r.Method != "" || r.Path != "" || r.Query != ""
}

func (d *document) hasBody() bool { return d.payload != nil || d.body != nil || d.bodyRef != "" }
