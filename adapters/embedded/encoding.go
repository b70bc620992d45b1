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

// A value is a version byte followed by fields in a fixed order: varints, and strings with their length before them. No
// other program reads them, so they are made for speed.
const codecVersion = 1

// errCorrupt means that a value cannot have been written by us.
var errCorrupt = errors.New("corrupt value")

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

// time encodes a time in microseconds. The zero time stays zero.
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

// decoder decodes what encoder wrote. After the first fault everything decodes as zero, and end returns an error.
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

// skip steps over n bytes that were decoded. It returns false when decoding failed.
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

// bytes returns a part of the value, not a copy.
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

// maxHint bounds what is allocated for a number of items in advance: a corrupt number must not allocate much memory.
const maxHint = 16

// count decodes a number of items, each of at least one byte.
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
	h := make(domain.Header, min(n, maxHint))
	for i := 0; i < n && !d.bad; i++ {
		name := d.text()
		h[name] = d.texts()
	}
	return h
}

func (d *decoder) texts() []string {
	n := d.count()
	values := make([]string, 0, min(n, maxHint))
	for i := 0; i < n && !d.bad; i++ {
		values = append(values, d.text())
	}
	return values
}

func (d *decoder) end(what string) error {
	if d.bad || len(d.buf) != 0 {
		return fmt.Errorf("decode %s: %w", what, errCorrupt)
	}
	return nil
}
