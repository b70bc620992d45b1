package rawjson

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Writer builds a JSON object by appending, so that a large value is copied only once. Members appear in the order in
// which they are added. It is not safe for concurrent use.
type Writer struct{ buf []byte }

// Append begins an object at the end of dst. Close returns dst with the object.
func Append(dst []byte) *Writer { return &Writer{buf: append(dst, '{')} }

// Close ends the object and returns the bytes. Nothing may be added afterwards.
func (w *Writer) Close() []byte { return append(w.buf, '}') }

// OpenList adds a list of objects as a member; Item adds to it, until EndList.
func (w *Writer) OpenList(name string) {
	w.key(name)
	w.buf = append(w.buf, '[')
}

// Item begins an object in the list that OpenList began; what is added next is in it, until End.
func (w *Writer) Item() {
	if w.buf[len(w.buf)-1] != '[' { // as in key: only a list that is still empty ends in it
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '{')
}

// EndList ends what OpenList began.
func (w *Writer) EndList() { w.buf = append(w.buf, ']') }

// Open adds an object as a member; what is added next is in it, until End.
func (w *Writer) Open(name string) {
	w.key(name)
	w.buf = append(w.buf, '{')
}

// End ends what Open began.
func (w *Writer) End() { w.buf = append(w.buf, '}') }

// Raw adds a value that is valid JSON, byte for byte.
func (w *Writer) Raw(name string, value []byte) {
	w.key(name)
	w.buf = append(w.buf, value...)
}

// Text adds a string. Bytes that are not UTF-8 become U+FFFD, so that the document stays valid.
func (w *Writer) Text(name, value string) {
	w.key(name)
	w.buf = appendString(w.buf, value)
}

// ValidText adds bytes that are known to be UTF-8 as a string.
func (w *Writer) ValidText(name string, value []byte) {
	w.key(name)
	w.buf = appendQuoted(w.buf, value)
}

func (w *Writer) texts(name string, values []string) {
	w.key(name)
	w.buf = append(w.buf, '[')
	for i, value := range values {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = appendString(w.buf, value)
	}
	w.buf = append(w.buf, ']')
}

// Values adds a string if there is exactly one value, and otherwise a list of strings.
func (w *Writer) Values(name string, values []string) {
	if len(values) == 1 {
		w.Text(name, values[0])
	} else {
		w.texts(name, values)
	}
}

// Base64 adds bytes as a string in standard base64 with padding (RFC 4648 section 4).
func (w *Writer) Base64(name string, value []byte) {
	w.key(name)
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, value)
	w.buf = append(w.buf, '"')
}

// Int adds a whole number.
func (w *Writer) Int(name string, value int64) {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, value, 10)
}

// Bool adds true or false.
func (w *Writer) Bool(name string, value bool) {
	w.key(name)
	w.buf = strconv.AppendBool(w.buf, value)
}

// Seconds adds a duration, given in milliseconds, as a number of seconds.
func (w *Writer) Seconds(name string, milliseconds int64) {
	w.key(name)
	w.buf = strconv.AppendFloat(w.buf, float64(milliseconds)/1000, 'f', -1, 64)
}

// TimeLayout is RFC 3339 with milliseconds, for times in UTC.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Time adds a time in UTC as TimeLayout, truncated to milliseconds.
func (w *Writer) Time(name string, value time.Time) {
	w.key(name)
	w.buf = value.UTC().AppendFormat(w.buf, `"`+TimeLayout+`"`)
}

// key begins a member. It needs no comma after "{", which only an object without members ends in.
func (w *Writer) key(name string) {
	if w.buf[len(w.buf)-1] != '{' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(appendString(w.buf, name), ':')
}

func appendString(buf []byte, value string) []byte {
	return appendQuoted(buf, strings.ToValidUTF8(value, "\uFFFD"))
}

// appendQuoted quotes valid UTF-8, escaping only what must be (RFC 8259 section 7).
func appendQuoted[T string | []byte](buf []byte, value T) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	plain := 0 // value[plain:i] needs no escape
	for i := range len(value) {
		c := value[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		buf = append(buf, value[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	buf = append(buf, value[plain:]...)
	return append(buf, '"')
}
