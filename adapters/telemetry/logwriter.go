package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/openhqm/openhqm/ports"
)

const (
	// maxLogBacklog is how much of the log waits for its reader at most, in bytes.
	maxLogBacklog = 8 << 20

	// keptLogBuffer is the largest buffer that is used again, in bytes: one that a stall has filled is given up.
	keptLogBuffer = 256 << 10

	// logStalled is how long a write may take before the reader of the log counts as stalled.
	logStalled = 5 * time.Second
)

// LogWriter writes the log in the background: Write never blocks and never fails, whatever becomes of the other end. A
// reader that stalls or is gone costs lines, not work. It is safe for concurrent use.
type LogWriter struct {
	out  io.Writer
	wake chan struct{} // a token: there is something to write, or it is closed
	done chan struct{} // closed when all is written after Close

	mu      sync.Mutex
	backlog []byte
	closed  bool
	note    func(lines int64) []byte // what is written in place of lines that were lost; nil: nothing
	lost    int64                    // lines, altogether
	unsaid  int64                    // lines lost since the last note
	writing time.Time                // when the write that is under way began; zero: there is none
	failure error                    // of the last write
}

// NewLogWriter starts to write to out, until Close.
func NewLogWriter(out io.Writer) *LogWriter {
	w := &LogWriter{out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write queues one or more whole lines. It drops them while too much waits to be written, and after Close.
func (w *LogWriter) Write(lines []byte) (int, error) {
	w.mu.Lock()
	if len(w.backlog)+len(lines) > maxLogBacklog || w.closed {
		w.lose(lines)
	} else {
		w.backlog = append(w.backlog, lines...)
	}
	w.mu.Unlock()
	w.signal()
	return len(lines), nil
}

// Lost returns how many lines were dropped so far.
func (w *LogWriter) Lost() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// Probe implements ports.Probe. It returns a ports.Degraded while nobody reads the log: that stops no work.
func (w *LogWriter) Probe(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.writing.IsZero() && time.Since(w.writing) > logStalled:
		return ports.Degraded(fmt.Sprintf("nobody reads the log: %d lines lost", w.lost))
	case w.failure != nil:
		return ports.Degraded(fmt.Sprintf("the log cannot be written: %d lines lost", w.lost))
	default:
		return nil
	}
}

// Close writes what waits. It returns when that is done or ctx ends, whichever comes first; then the rest is lost.
func (w *LogWriter) Close(ctx context.Context) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.done:
	case <-ctx.Done():
	}
}

// noteLost sets what is written in place of lines that were lost.
func (w *LogWriter) noteLost(note func(lines int64) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = note
}

func (w *LogWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// lose counts lines that are dropped. Called with mu held.
func (w *LogWriter) lose(lines []byte) {
	n := int64(bytes.Count(lines, []byte{'\n'}))
	w.lost += n
	w.unsaid += n
}

// run writes what has gathered while the last of it was written.
func (w *LogWriter) run() {
	defer close(w.done)
	var spare []byte
	for range w.wake {
		for {
			lines, closed := w.next(spare)
			spare = lines // never the one that is the backlog now
			if len(lines) == 0 {
				if closed {
					return
				}
				break
			}
			w.flush(lines)
			if cap(spare) > keptLogBuffer {
				spare = nil
			}
		}
	}
}

// next returns what waits, and leaves the spare buffer in its place.
func (w *LogWriter) next(spare []byte) (lines []byte, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, w.backlog = w.backlog, spare[:0]
	return lines, w.closed
}

// flush writes lines, after a note of those that are missing.
func (w *LogWriter) flush(lines []byte) {
	w.mu.Lock()
	w.writing = time.Now()
	note, unsaid := w.note, w.unsaid
	w.mu.Unlock()
	var err error
	if unsaid > 0 && note != nil {
		if _, err = w.out.Write(note(unsaid)); err == nil {
			w.said(unsaid)
		}
	}
	if err == nil {
		_, err = w.out.Write(lines)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing, w.failure = time.Time{}, err
	if err != nil {
		w.lose(lines)
	}
}

func (w *LogWriter) said(lines int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsaid -= lines
}
