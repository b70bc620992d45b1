package embedded

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/openhqm/openhqm/domain"
)

// txn is the changes of one group.
type txn struct {
	db    *DB
	now   time.Time
	batch *pebble.Batch
	err   error // the first error of the batch
	dirty bool  // something is to be committed

	rows    map[domain.ID]*row // rows read or changed in this group
	keys    map[string]idempotency
	deleted map[domain.ID]struct{} // dead letters deleted in this group, which can still be read from disk
	queues  map[*queue]struct{}    // queues whose counters changed
	finals  []domain.ID
	newest  domain.ID // the last request that was accepted in this group; empty: none
}

// batchSlack is for rows of a group that belong to no operation, in bytes.
const batchSlack = 64 << 10

// begin begins a group whose operations add about so many bytes. The batch has room for them: growing it would leave
// large bodies in memory twice more.
func (db *DB) begin(bytes int) *txn {
	db.totals.group++
	return &txn{
		db: db, now: db.opts.Now(), batch: db.kv.NewBatch(pebble.WithInitialSizeBytes(bytes + batchSlack)),
		rows:    make(map[domain.ID]*row),
		keys:    make(map[string]idempotency),
		deleted: make(map[domain.ID]struct{}),
		queues:  make(map[*queue]struct{}),
	}
}

// commit makes the group durable. It does nothing for a group without changes.
func (tx *txn) commit() error {
	if !tx.dirty {
		tx.db.totals.group--
		return tx.err
	}
	for q := range tx.queues {
		if tx.db.totals.group%raiseEvery == 0 {
			tx.db.raiseFrom(q)
		}
		tx.set(queueKey(q.id), encodeQueue(q))
	}
	tx.set(totalsKey, encodeTotals(&tx.db.totals))
	if tx.err != nil {
		return fmt.Errorf("write database: %w", tx.err)
	}
	if err := tx.batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	tx.db.durable.Store(tx.db.totals.group)
	tx.db.raiseMark(tx.newest)
	return nil
}

func (tx *txn) set(key, value []byte) {
	tx.dirty = true
	if err := tx.batch.Set(key, value, nil); err != nil && tx.err == nil {
		tx.err = err
	}
}

// setEncoded is set for a value that is copied here for the first time.
func (tx *txn) setEncoded(key []byte, value encoded) {
	tx.dirty = true
	op := tx.batch.SetDeferred(len(key), value.size())
	copy(op.Key, key)
	value.copyTo(op.Value)
	if err := op.Finish(); err != nil && tx.err == nil {
		tx.err = err
	}
}

func (tx *txn) delete(key []byte) {
	tx.dirty = true
	if err := tx.batch.Delete(key, nil); err != nil && tx.err == nil {
		tx.err = err
	}
}

// discard deletes a value that may be large.
func (tx *txn) discard(key []byte, size int64) {
	tx.delete(key)
	tx.db.waste.add(key, size)
}

// row returns a row as this group sees it; nil: there is none.
func (tx *txn) row(id domain.ID) (*row, error) {
	if r, ok := tx.rows[id]; ok {
		return r, nil
	}
	if l := tx.db.leases[id]; l != nil {
		return l.row, nil
	}
	r, err := tx.db.readRow(id)
	if r != nil {
		tx.rows[id] = r
	}
	return r, err
}

// save writes a changed row.
func (tx *txn) save(r *row) {
	r.group = tx.db.totals.group
	tx.rows[r.ID] = r
	tx.set(idKey(prefixRecord, r.ID), encodeRow(r))
}

// next returns a number that was never used before, as a sequence number or token.
func (tx *txn) next() uint64 {
	tx.db.totals.seq++
	return tx.db.totals.seq
}

// enqueue adds an unfinished request to the queue: delayed until at if that is in the future, else ready.
func (tx *txn) enqueue(r *row, at time.Time) {
	w := waiting{id: r.ID, queue: queueOf(r), size: r.size, since: tx.now.UnixMilli()}
	seq := tx.next()
	if at.After(tx.now) {
		// Rounded up: nothing is due before its time.
		due := at.Add(time.Millisecond - 1).UnixMilli()
		r.place, r.NextAttemptAt = place{seq: seq, due: due}, at
		tx.set(dueKey(due, seq), encodeWaiting(&w))
		tx.db.totals.delayed++
		tx.db.due.add(due)
		return
	}
	r.place, r.NextAttemptAt = place{seq: seq}, time.Time{}
	q := tx.db.scheduler.queue(w.queue)
	q.push(entry{waiting: w, seq: seq})
	tx.queues[q] = struct{}{}
	tx.set(readyKey(w.queue, seq), encodeWaiting(&w))
}

// dequeue removes an unfinished request that is not leased from the queue.
func (tx *txn) dequeue(r *row) {
	if r.place.due != 0 {
		tx.delete(dueKey(r.place.due, r.place.seq))
		tx.db.totals.delayed--
		return
	}
	q := tx.db.scheduler.queue(queueOf(r))
	q.remove(r.place.seq)
	tx.queues[q] = struct{}{}
	tx.delete(readyKey(q.id, r.place.seq))
}

// end makes a request final that is no longer in the queue, with everything that follows from that.
func (tx *txn) end(r *row, out domain.Outcome) {
	r.Status, r.UpdatedAt, r.NextAttemptAt = out.Status, out.At, time.Time{}
	r.reason, r.problem = out.Reason, out.Error
	r.completedAt, r.processingTime = out.At, out.ProcessingTime
	if r.Status == domain.Cancelled && r.answered {
		tx.discard(idKey(prefixResponse, r.ID), r.ResponseSize)
		r.answered, r.statusCode, r.ResponseSize = false, 0, 0
	}
	if r.Status.DeadLettered() {
		tx.addDeadLetter(r)
	} else {
		tx.discard(idKey(prefixRequest, r.ID), r.size)
	}
	if r.idempotency != "" && (r.Status == domain.Failed || r.Status == domain.Cancelled) {
		tx.freeKey(r)
	}
	tx.expireAt(r, tx.now.Add(tx.db.opts.TTL))
	tx.save(r)
	tx.finals = append(tx.finals, r.ID)
}

// expireAt moves the entry of a row in the expiry index.
func (tx *txn) expireAt(r *row, at time.Time) {
	if r.expires != 0 {
		tx.delete(expiryKey(r.expires, expireRecord, []byte(r.ID)))
	}
	r.expires = at.UnixMilli()
	tx.set(expiryKey(r.expires, expireRecord, []byte(r.ID)), nil)
	tx.db.expiry.add(r.expires)
}

func queueOf(r *row) queueID {
	request := domain.Request{Priority: r.Priority}
	return queueID{lane: request.Lane(), endpoint: r.Endpoint}
}
