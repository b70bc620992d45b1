package envelope

import (
	"bytes"
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
