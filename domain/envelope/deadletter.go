package envelope

import (
	"bytes"
	"math"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// DeadLetter is what queue.dead_letters is told of a request that ended FAILED or TIMEOUT, or of a message that nobody
// could read.
type DeadLetter struct {
	Message  []byte // the original, as it came
	URL      string // where the dead letter is whose original was too large for the message; Message is not written then
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

// AppendDeadLetter writes a dead letter message at the end of dst and returns the longer slice. It keeps nothing of l.
// An original that is JSON stands in it as it is, without the space around it; any other is a string in base64, and
// message_encoding says so. In place of one that is elsewhere stands message_url.
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

// DecodeDeadLetter reads a dead letter message of at most limit bytes. ID is empty when the message has none that is
// valid. Message may be a part of data, which must not be changed afterwards; it is not decoded.
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
