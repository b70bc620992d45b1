package telemetry

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// maxLogBacklog is how much of the log waits for its reader at most, in bytes.
const maxLogBacklog = 8 << 20

// LogWriter writes the log behind the back of whoever logs: Write never blocks and never fails, whatever becomes of the
// other end. A reader that stalls or is gone costs lines, not work. It is safe for concurrent use.
type LogWriter struct {
	out  io.Writer
	lost atomic.Int64 // lines, altogether

	mu      sync.Mutex
	backlog []byte
	missing int64 // lines lost that nobody has been told of
	closed  bool
	wake    chan struct{} // a token here: there is something to write, or it is closed
	done    chan struct{} // closed when all is written after Close
	note    func(lines int64) []byte
}

// NewLogWriter starts to write to out, until Close. The note is what is written in place of lines that were lost; it
// may be nil.
func NewLogWriter(out io.Writer, note func(lines int64) []byte) *LogWriter {
	w := &LogWriter{out: out, note: note, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one or more whole lines. They are dropped while too much waits to be written.
func (w *LogWriter) Write(lines []byte) (int, error) {
	w.mu.Lock()
	if len(w.backlog)+len(lines) > maxLogBacklog || w.closed {
		w.lose(lines)
	} else {
		w.backlog = append(w.backlog, lines...)
	}
	w.mu.Unlock()
	w.ring()
	return len(lines), nil
}

// Lost returns how many lines were dropped so far.
func (w *LogWriter) Lost() int64 { return w.lost.Load() }

// Close writes what waits, and ends with ctx at the latest: then the rest is lost. What is written afterwards is too.
func (w *LogWriter) Close(ctx context.Context) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.ring()
	select {
	case <-w.done:
	case <-ctx.Done():
	}
}

func (w *LogWriter) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// lose counts lines that are dropped. Called with mu held.
func (w *LogWriter) lose(lines []byte) {
	n := int64(bytes.Count(lines, []byte{'\n'}))
	w.missing += n
	w.lost.Add(n)
}

// run writes what has gathered while it wrote the last of it.
func (w *LogWriter) run() {
	defer close(w.done)
	var spare []byte
	for range w.wake {
		for {
			lines, missing, closed := w.take(spare)
			if len(lines) == 0 {
				if closed {
					return
				}
				break
			}
			w.flush(lines, missing)
			spare = lines[:0]
		}
	}
}

// take returns what waits, and how many lines were lost before that, and leaves the spare buffer in its place.
func (w *LogWriter) take(spare []byte) (lines []byte, missing int64, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, w.backlog = w.backlog, spare[:0]
	if len(lines) > 0 {
		missing, w.missing = w.missing, 0
	}
	return lines, missing, w.closed
}

// flush writes lines, after a note of those that are missing.
func (w *LogWriter) flush(lines []byte, missing int64) {
	var err error
	if missing > 0 && w.note != nil {
		_, err = w.out.Write(w.note(missing))
	}
	if err == nil {
		missing = 0
		_, err = w.out.Write(lines)
	}
	if err != nil {
		w.mu.Lock()
		w.missing += missing
		w.lose(lines)
		w.mu.Unlock()
	}
}
