package embedded

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Pebble frees the space of deleted values when it compacts tables, which it does as more is written. After a busy time
// the deleted values would therefore stay on disk for as long as nothing comes in, so an idle database compacts itself.
const (
	minWaste     = 16 << 20         // bytes that are worth a compaction
	wasteShare   = 4                // a compaction may rewrite this many times what it gives back
	wastePause   = 10 * time.Second // between two compactions
	diskInterval = time.Second      // between two looks at the disk
)

// waste is what was deleted since the last compaction, by the prefix of its keys. It is safe for concurrent use.
type waste struct {
	mu     sync.Mutex
	spans  map[byte]wasted
	cleans time.Time // when the last compaction ended
}

// wasted is a span of deleted keys and the size of their values.
type wasted struct {
	first, last []byte
	bytes       int64
}

// add notes a deleted value. It keeps the key.
func (w *waste) add(key []byte, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.spans == nil {
		w.spans = make(map[byte]wasted)
	}
	span, known := w.spans[key[0]]
	if !known || bytes.Compare(key, span.first) < 0 {
		span.first = key
	}
	if !known || bytes.Compare(key, span.last) > 0 {
		span.last = key
	}
	span.bytes += size
	w.spans[key[0]] = span
}

// due removes and returns the spans that are worth a compaction. Usage estimates what is on the disk of a span.
func (w *waste) due(now time.Time, usage func(first, last []byte) int64) []wasted {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.cleans) < wastePause {
		return nil
	}
	var due []wasted
	for prefix, span := range w.spans {
		if span.bytes >= minWaste && usage(span.first, span.last) <= wasteShare*span.bytes {
			due = append(due, span)
			delete(w.spans, prefix)
		}
	}
	return due
}

func (w *waste) cleaned(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cleans = now
}

// lookAfterDisk checks the free space of the disk at intervals, so that a change is logged even while nothing happens,
// and frees the space of deleted values. It blocks until the database is closed.
func (db *DB) lookAfterDisk() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	cleaning := make(chan struct{}, 1)
	for {
		select {
		case <-ticker.C:
			_ = db.disk.check() // logs
			db.syncMark()
			db.startCleaning(ctx, cleaning)
		case <-db.closing:
			return
		case <-db.done:
			return
		}
	}
}

// startCleaning compacts what is due, unless that is still going on.
func (db *DB) startCleaning(ctx context.Context, cleaning chan struct{}) {
	select {
	case cleaning <- struct{}{}:
	default:
		return
	}
	db.upkeep.Go(func() {
		defer func() { <-cleaning }()
		db.clean(ctx)
	})
}

// clean frees the disk space of deleted values by compacting tables.
func (db *DB) clean(ctx context.Context) {
	if !db.enter() {
		return
	}
	defer db.leave()
	due := db.waste.due(time.Now(), func(first, last []byte) int64 {
		size, err := db.kv.EstimateDiskUsage(first, append(bytes.Clone(last), 0))
		if err != nil {
			return 0 // it is only an estimate
		}
		return int64(size)
	})
	if len(due) == 0 {
		return
	}
	if err := db.compact(ctx, due); err != nil && ctx.Err() == nil {
		db.opts.Logger.Warn("embedded database: deleted data stays on the disk; compacting failed", "error", err)
	}
	db.waste.cleaned(time.Now())
}

func (db *DB) compact(ctx context.Context, due []wasted) error {
	db.logs.Lock()
	defer db.logs.Unlock()
	dir := db.databaseDir()
	newest, err := newestLog(dir)
	if err != nil {
		return err
	}
	if err := db.kv.Flush(); err != nil {
		return err
	}
	for _, span := range due {
		if err := db.kv.Compact(ctx, span.first, append(bytes.Clone(span.last), 0), false); err != nil {
			return err
		}
	}
	return db.files.emptyLogs(dir, newest)
}
