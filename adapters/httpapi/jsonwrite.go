package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// jsonObject builds a JSON object by appending, so that a large result is copied once and never decoded. Members
// appear in the order they are added.
type jsonObject struct{ buf []byte }

// newObject begins an object; size is about how many bytes it will have.
func newObject(size int) *jsonObject {
	return &jsonObject{buf: append(make([]byte, 0, size), '{')}
}

// raw adds a value that is JSON already.
func (o *jsonObject) raw(name string, value []byte) {
	o.key(name)
	o.buf = append(o.buf, value...)
}

// validText adds a string that is known to be UTF-8.
func (o *jsonObject) validText(name string, value []byte) {
	o.key(name)
	o.buf = appendQuoted(o.buf, value)
}

func (o *jsonObject) base64(name string, value []byte) {
	o.key(name)
	o.buf = append(o.buf, '"')
	o.buf = base64.StdEncoding.AppendEncode(o.buf, value)
	o.buf = append(o.buf, '"')
}

func (o *jsonObject) text(name, value string) {
	o.key(name)
	o.buf = appendString(o.buf, value)
}

func (o *jsonObject) texts(name string, values []string) {
	o.key(name)
	o.buf = append(o.buf, '[')
	for i, value := range values {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendString(o.buf, value)
	}
	o.buf = append(o.buf, ']')
}

func (o *jsonObject) number(name string, value int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, value, 10)
}

func (o *jsonObject) bool(name string, value bool) {
	o.key(name)
	o.buf = strconv.AppendBool(o.buf, value)
}

// array adds a list of n values that are JSON already.
func (o *jsonObject) array(name string, n int, value func(i int) []byte) {
	o.key(name)
	o.buf = append(o.buf, '[')
	for i := range n {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = append(o.buf, value(i)...)
	}
	o.buf = append(o.buf, ']')
}

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// time adds a time in UTC with milliseconds.
func (o *jsonObject) time(name string, value time.Time) {
	o.key(name)
	o.buf = append(o.buf, '"')
	o.buf = value.UTC().AppendFormat(o.buf, timeLayout)
	o.buf = append(o.buf, '"')
}

// end closes the object and gives it. Nothing may be added afterwards.
func (o *jsonObject) end() []byte { return append(o.buf, '}') }

func (o *jsonObject) key(name string) {
	if len(o.buf) > 1 {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(appendString(o.buf, name), ':')
}

// appendString appends a JSON string. What is not UTF-8 becomes U+FFFD: a field value of a backend may hold any bytes,
// and the document must stay readable.
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
