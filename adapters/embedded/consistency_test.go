package embedded

import (
	"encoding/binary"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// contents is everything that a database holds on disk, decoded.
type contents struct {
	totals      totals
	queues      map[queueID]*queue
	ready       map[queueID][]uint64 // sequence numbers
	waiting     map[domain.ID]place
	records     map[domain.ID]*row
	requests    map[domain.ID]bool
	responses   map[domain.ID]bool
	deadLetters map[domain.ID]int64 // when they failed
	letterRefs  map[domain.ID]letterRef
	keys        map[string]idempotency
	expiries    map[string]bool
	delayed     int64
}

// count returns how many keys begin with each prefix.
func (db *DB) count(t require.TestingT) map[string]int {
	n := make(map[string]int)
	require.NoError(t, db.scan([]byte{0}, []byte{255}, func(key, _ []byte) (bool, error) {
		n[string(key[:1])]++
		return true, nil
	}))
	return n
}

func (db *DB) contents(t require.TestingT) *contents {
	c := &contents{
		queues: map[queueID]*queue{}, ready: map[queueID][]uint64{}, waiting: map[domain.ID]place{},
		records: map[domain.ID]*row{}, requests: map[domain.ID]bool{}, responses: map[domain.ID]bool{},
		deadLetters: map[domain.ID]int64{}, letterRefs: map[domain.ID]letterRef{},
		keys: map[string]idempotency{}, expiries: map[string]bool{},
	}
	require.NoError(t, db.scan([]byte{0}, []byte{255}, func(key, value []byte) (bool, error) {
		return true, c.add(key, value)
	}))
	return c
}

// add sorts one row in.
func (c *contents) add(key, value []byte) (err error) {
	id := domain.ID(key[1:])
	switch key[0] {
	case prefixTotals:
		c.totals, err = decodeTotals(value)
	case prefixQueue:
		c.queues[parseQueueKey(key)], err = decodeQueue(parseQueueKey(key), value)
	case prefixReady:
		var w waiting
		w, err = decodeWaiting(value)
		c.ready[w.queue] = append(c.ready[w.queue], trailingSeq(key))
		c.waiting[w.id] = place{seq: trailingSeq(key)}
	case prefixDue:
		var w waiting
		w, err = decodeWaiting(value)
		c.delayed++
		c.waiting[w.id] = place{seq: trailingSeq(key), due: keyTime(key)}
	case prefixRecord:
		c.records[id], err = decodeRow(id, value)
	case prefixRequest:
		c.requests[id] = true
	case prefixResponse:
		c.responses[id] = true
	case prefixDeadLetter:
		c.deadLetters[domain.ID(key[9:])] = keyTime(key)
	case prefixLetterRef:
		c.letterRefs[id], err = decodeLetterRef(value)
	case prefixIdempotency:
		c.keys[string(key)], err = decodeIdempotency(value)
	case prefixExpiry:
		c.expiries[string(key)] = true
	default:
		return fmt.Errorf("a key of an unknown kind: %q", key)
	}
	return err
}

// requireConsistent holds everything on disk against everything else: a crash may happen after any group.
func (db *DB) requireConsistent(t require.TestingT) {
	c := db.contents(t)
	require.Equal(t, c.delayed, c.totals.delayed, "delayed requests are counted")
	require.EqualValues(t, len(c.deadLetters), c.totals.deadLetters, "dead letters are counted")
	c.requireQueues(t)
	c.requireRecords(t)
	c.requireDeadLetters(t)
	for key, i := range c.keys {
		require.True(t, c.expiries[string(expiryKey(i.expires, expireIdempotency, []byte(key)))], "key %q expires", key)
	}
	for id := range c.requests {
		r := c.records[id]
		_, dead := c.letterRefs[id]
		require.True(t, dead || r != nil && !r.Status.Final(), "request %s is kept for nothing", id)
	}
	for id := range c.responses {
		require.True(t, c.records[id] != nil && c.records[id].answered, "response %s is kept for nothing", id)
	}
}

func (c *contents) requireQueues(t require.TestingT) {
	for id, q := range c.queues {
		require.EqualValues(t, len(c.ready[id]), q.rows, "ready requests of %v are counted", id)
	}
	for id, seqs := range c.ready {
		require.NotNil(t, c.queues[id])
		require.LessOrEqual(t, c.queues[id].from, seqs[0], "iterators would begin after the first row of %v", id)
		require.LessOrEqual(t, seqs[len(seqs)-1], c.totals.seq)
	}
}

func (c *contents) requireRecords(t require.TestingT) {
	for id, r := range c.records {
		at, waits := c.waiting[id]
		require.Equal(t, !r.Status.Final(), waits, "%s is %s", id, r.Status)
		if waits {
			require.Equal(t, r.place, at, "%s is where its record says", id)
			require.True(t, c.requests[id], "%s can be handed out", id)
		}
		if r.answered {
			require.True(t, c.responses[id], "%s has its response", id)
		}
		require.True(t, c.expiries[string(expiryKey(r.expires, expireRecord, []byte(id)))], "%s ends some day", id)
		require.LessOrEqual(t, r.group, c.totals.group)
		delete(c.waiting, id)
	}
	require.Empty(t, c.waiting, "queue entries without a record")
	for key := range c.expiries {
		millis := int64(binary.BigEndian.Uint64([]byte(key[1:9])))
		if r := c.records[domain.ID(key[10:])]; key[9] == expireRecord {
			require.True(t, r != nil && r.expires == millis, "a leftover expiry of %s", key[10:])
		}
	}
}

func (c *contents) requireDeadLetters(t require.TestingT) {
	require.Len(t, c.letterRefs, len(c.deadLetters))
	for id, at := range c.deadLetters {
		b := c.letterRefs[id]
		require.Equal(t, at, b.at, "%s can be found", id)
		require.True(t, c.requests[id], "%s has its original", id)
		key := expiryKey(b.expires, expireDeadLetter, deadLetterKey(at, id))
		require.True(t, c.expiries[string(key)], "%s ends some day", id)
		delete(c.expiries, string(key))
	}
	for key := range c.expiries {
		require.NotEqual(t, byte(expireDeadLetter), key[9], "a leftover expiry of a dead letter")
	}
}
