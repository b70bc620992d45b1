package envelope

import (
	"bytes"
	"math"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// DeadLetter is the notice in queue.dead_letters of a request that ended FAILED or TIMEOUT, or of a message that could
// not be read.
type DeadLetter struct {
	Message  []byte // the original, as it came
	URL      string // of the dead letter, where the original is too large for the notice; Message is not written then
	ID       domain.ID
	Error    string
	Attempts int
	FailedAt time.Time
}

// Names of the members that only dead letters have.
const (
	keyMessage         = "message"
	keyMessageEncoding = keyMessage + encodingSuffix
	keyMessageURL      = "message_url"
	keyAttempts        = "attempts"
	keyFailedAt        = "failed_at"
)

// AppendDeadLetter appends a dead letter to dst and returns the extended slice. It keeps nothing of l. An original that
// is JSON is written unchanged, without the space around it. Any other is a base64 string, and message_encoding says
// so. With a URL it writes message_url in place of the original.
func AppendDeadLetter(dst []byte, l *DeadLetter) []byte {
	w := rawjson.Append(grow(dst, nil, l.Message))
	switch {
	case l.URL != "":
		w.Text(keyMessageURL, l.URL)
	case embeddable(l.Message):
		w.Raw(keyMessage, bytes.TrimSpace(l.Message))
	default:
		w.Base64(keyMessage, l.Message)
		w.Text(keyMessageEncoding, encodingBase64)
	}
	appendText(w, keyID, string(l.ID))
	w.Text(keyError, l.Error)
	w.Int(keyAttempts, int64(l.Attempts))
	w.Time(keyFailedAt, l.FailedAt)
	return w.Close()
}

// deadLetterDocument is a dead letter message while it is read.
type deadLetterDocument struct {
	DeadLetter

	encoding string
}

// DecodeDeadLetter reads a dead letter of at most limit bytes. ID is empty when the document has no valid one. Message
// may share memory with data, which must not be changed afterwards; it is not decoded.
func DecodeDeadLetter(data []byte, limit int) (DeadLetter, error) {
	object, err := open(data, limit)
	if err != nil {
		return DeadLetter{}, err
	}
	var d deadLetterDocument
	if err := readObject("", object, deadLetterMembers, &d); err != nil {
		return DeadLetter{}, err
	}
	switch {
	case d.Message == nil && d.URL == "":
		return DeadLetter{}, &domain.Invalid{Field: keyMessage, Reason: "is needed"}
	case d.Message != nil && d.URL != "":
		return DeadLetter{}, &domain.Invalid{Field: keyMessage, Reason: "has both message and message_url"}
	case d.Message == nil:
		return d.DeadLetter, nil
	}
	switch d.encoding {
	case "":
	case encodingBase64:
		message, reason := decodeBase64(d.Message)
		if reason != "" {
			return DeadLetter{}, &domain.Invalid{Field: keyMessage, Reason: reason}
		}
		d.Message = message
	default:
		return DeadLetter{}, &domain.Invalid{Field: keyMessageEncoding, Reason: `must be "base64"`}
	}
	return d.DeadLetter, nil
}

var deadLetterMembers = []member[deadLetterDocument]{
	{name: keyMessage, read: func(d *deadLetterDocument, v []byte) string { d.Message = v; return "" }, nullable: true},
	{name: keyMessageEncoding, read: func(d *deadLetterDocument, v []byte) string {
		return readText(&d.encoding, v, maxShortText)
	}},
	{name: keyMessageURL, read: func(d *deadLetterDocument, v []byte) string {
		return readText(&d.URL, v, maxURL)
	}},
	{name: keyID, read: func(d *deadLetterDocument, v []byte) string { readID(&d.ID, v); return "" }},
	{name: keyError, read: func(d *deadLetterDocument, v []byte) string { return readError(&d.Error, v) }},
	{name: keyAttempts, read: func(d *deadLetterDocument, v []byte) string {
		return readInteger(&d.Attempts, v, 0, math.MaxInt32)
	}},
	{name: keyFailedAt, read: func(d *deadLetterDocument, v []byte) string { return readTime(&d.FailedAt, v, floor) }},
}
