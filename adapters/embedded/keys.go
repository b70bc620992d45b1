package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// The first byte of every key. Numbers in keys are big-endian, so that keys sort by them.
const (
	prefixLetterRef   = 'b' // id -> letterRef: where its dead letter is
	prefixTotals      = 'c' // -> totals
	prefixDue         = 'd' // due, sequence -> waiting: requests that are delayed or wait for their next attempt
	prefixIdempotency = 'k' // owner, 0, key -> idempotency
	prefixQueue       = 'l' // lane, endpoint -> queueTotals
	prefixRequest     = 'q' // id -> request, until it is final or its dead letter is deleted
	prefixRecord      = 'r' // id -> row
	prefixResponse    = 's' // id -> response
	prefixDeadLetter  = 't' // time, id -> row
	prefixReady       = 'w' // lane, endpoint, 0, sequence -> waiting: requests that are due, begun ones included
	prefixExpiry      = 'x' // time, kind, what -> nothing: when to check something again
)

// The kinds of expiry rows.
const (
	expireRecord      = 'r' // the deadline of an unfinished request, or the end of a final record's lifetime
	expireIdempotency = 'k'
	expireDeadLetter  = 't'
)

var totalsKey = []byte{prefixTotals}

func idKey(prefix byte, id domain.ID) []byte {
	return append([]byte{prefix}, id...)
}

func queueKey(q queueID) []byte {
	return append([]byte{prefixQueue, byte(q.lane)}, q.endpoint...)
}

func parseQueueKey(key []byte) queueID {
	return queueID{lane: domain.Lane(key[1]), endpoint: string(key[2:])}
}

func readyKey(q queueID, seq uint64) []byte {
	key := make([]byte, 0, len(q.endpoint)+11)
	key = append(key, prefixReady, byte(q.lane))
	key = append(key, q.endpoint...)
	key = append(key, 0)
	return binary.BigEndian.AppendUint64(key, seq)
}

func dueKey(due int64, seq uint64) []byte {
	key := binary.BigEndian.AppendUint64([]byte{prefixDue}, uint64(due))
	return binary.BigEndian.AppendUint64(key, seq)
}

// trailingSeq returns the sequence number at the end of a ready or due key.
func trailingSeq(key []byte) uint64 {
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// keyTime returns the time after the prefix of a due, dead letter or expiry key, in milliseconds since 1970.
func keyTime(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[1:9]))
}

func timeKey(prefix byte, millis int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, uint64(millis))
}

func expiryKey(millis int64, kind byte, what []byte) []byte {
	key := append(timeKey(prefixExpiry, millis), kind)
	return append(key, what...)
}

func deadLetterKey(millis int64, id domain.ID) []byte {
	return append(timeKey(prefixDeadLetter, millis), id...)
}

func idempotencyKey(owner, key string) []byte {
	out := append([]byte{prefixIdempotency}, owner...)
	out = append(out, 0)
	return append(out, key...)
}

// waiting is the value of a ready or due row.
type waiting struct {
	id    domain.ID
	queue queueID // also in the key of a ready row, but not in that of a due row
	size  int64
	since int64 // when the row was written, in milliseconds since 1970; for a ready row, when it became ready
}

func encodeWaiting(w *waiting) []byte {
	e := newEncoder(96)
	e.text(string(w.id))
	e.uint(uint64(w.queue.lane))
	e.text(w.queue.endpoint)
	e.int(w.size)
	e.int(w.since)
	return e.buf
}

func decodeWaiting(value []byte) (waiting, error) {
	d := newDecoder(value)
	w := waiting{id: domain.ID(d.text())}
	w.queue = queueID{lane: domain.Lane(d.uint()), endpoint: d.text()}
	w.size, w.since = d.int(), d.int()
	if w.queue.lane >= domain.LaneCount {
		return w, fmt.Errorf("decode queue entry: lane %d: %w", w.queue.lane, errCorrupt)
	}
	return w, d.end("queue entry")
}

// totals are counters of the whole database. They are written in the same batch as the rows that they count.
type totals struct {
	group       uint64 // the last group commit
	seq         uint64 // the last sequence number or token in use
	delayed     int64  // due rows
	deadLetters int64
	accepted    uint64 // requests, ever
}

func encodeTotals(t *totals) []byte {
	e := newEncoder(32)
	e.uint(t.group)
	e.uint(t.seq)
	e.int(t.delayed)
	e.int(t.deadLetters)
	e.uint(t.accepted)
	return e.buf
}

func decodeTotals(value []byte) (totals, error) {
	d := newDecoder(value)
	t := totals{group: d.uint(), seq: d.uint(), delayed: d.int(), deadLetters: d.int()}
	if len(d.buf) > 0 { // a database of an earlier version does not have it
		t.accepted = d.uint()
	}
	return t, d.end("totals")
}

// idempotency is the value of an idempotency key.
type idempotency struct {
	id          domain.ID
	fingerprint [32]byte
	submittedAt time.Time // part of the answer to a repeat, even after the record is deleted
	expires     int64     // milliseconds since 1970
}

func encodeIdempotency(i *idempotency) []byte {
	e := newEncoder(96)
	e.text(string(i.id))
	e.bytes(i.fingerprint[:])
	e.time(i.submittedAt)
	e.int(i.expires)
	return e.buf
}

func decodeIdempotency(value []byte) (idempotency, error) {
	d := newDecoder(value)
	i := idempotency{id: domain.ID(d.text())}
	copy(i.fingerprint[:], d.bytes())
	i.submittedAt = d.time()
	i.expires = d.int()
	return i, d.end("idempotency key")
}

// letterRef leads from an id to its dead letter. Times are milliseconds since 1970.
type letterRef struct {
	at      int64 // part of the dead letter's key
	expires int64 // of its row in the expiry index
}

func encodeLetterRef(b *letterRef) []byte {
	e := newEncoder(24)
	e.int(b.at)
	e.int(b.expires)
	return e.buf
}

func decodeLetterRef(value []byte) (letterRef, error) {
	d := newDecoder(value)
	b := letterRef{at: d.int(), expires: d.int()}
	return b, d.end("letter reference")
}
