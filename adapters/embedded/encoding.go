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

// Values are a version byte and then fields in a fixed order: varints, and strings with their length before them. They
// are ours alone, so they are made for speed; what other programs read is the wire message of the brokers.
const codecVersion = 1

// errCorrupt is a value that we cannot have written.
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

// time keeps microseconds; the zero time stays zero.
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

// decoder reads what encoder wrote. The first fault sticks, and everything after it reads as zero.
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

// skip steps over n bytes and reports whether there were any to read.
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

// bytes returns a part of the value that was decoded, not a copy.
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

// maxHint bounds what is allocated for a number of items before the items are seen: a corrupt number must not ask for
// much memory.
const maxHint = 16

// count reads a number of items, each of which takes at least one byte.
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
