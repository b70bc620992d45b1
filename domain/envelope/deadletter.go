package envelope

import (
	"bytes"
	"time"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// DeadLetter is the notice in queue.dead_letters of a request that ended FAILED or TIMEOUT, or of a message that could
// not be read.
type DeadLetter struct {
	Message  []byte         // the original, as it came
	Fields   []domain.Field // the original, of an entry of a stream that has no message; then Message counts for nothing
	URL      string         // of the dead letter, where the original is too large for the notice; it replaces that
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
	keyFields          = "fields"
	keyFieldName       = "name"
	keyFieldValue      = "value"
	keyAttempts        = "attempts"
	keyFailedAt        = "failed_at"
)

// AppendDeadLetter appends a dead letter to dst and returns the extended slice. It keeps nothing of l. An original that
// is JSON is written unchanged, without the space around it. Any other is a base64 string, and message_encoding says
// so. With a URL it writes message_url in place of the original. Fields are a list of objects.
func AppendDeadLetter(dst []byte, l *DeadLetter) []byte {
	w := rawjson.Append(grow(dst, nil, l.Message))
	switch {
	case l.URL != "":
		w.Text(keyMessageURL, l.URL)
	case len(l.Fields) > 0:
		AppendFields(w, l.Fields)
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

// AppendFields adds the fields of an entry of a stream as a list of objects with name and value. Either is a string, or
// in base64 where it is not UTF-8: then there is a member name_encoding or value_encoding too.
func AppendFields(w *rawjson.Writer, fields []domain.Field) {
	w.OpenList(keyFields)
	for _, field := range fields {
		w.Item()
		AppendBytes(w, keyFieldName, []byte(field.Name))
		AppendBytes(w, keyFieldValue, []byte(field.Value))
		w.End()
	}
	w.EndList()
}

// AppendBytes adds bytes as a string, or in base64 with a member "<name>_encoding" where they are not UTF-8. A reader
// restores every byte.
func AppendBytes(w *rawjson.Writer, name string, value []byte) {
	if utf8.Valid(value) {
		w.ValidText(name, value)
		return
	}
	w.Base64(name, value)
	w.Text(name+encodingSuffix, encodingBase64)
}
