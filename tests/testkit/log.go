package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Log keeps what a process writes to its standard error, line by line. It is safe for concurrent use.
type Log struct {
	lines watched[[]string]
	rest  []byte // of a line that has not ended; only Write touches it

	moves *atomic.Int64 // counts lines too; nil: nobody's
}

// newLog makes a log whose lines show that a test gets on.
func newLog(tb testing.TB) *Log {
	tb.Helper()
	return &Log{moves: Moves(tb)}
}

// Write adds output. One goroutine at a time calls it: the one that os/exec reads the pipe with.
func (l *Log) Write(output []byte) (int, error) {
	l.rest = append(l.rest, output...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(output), nil
		}
		l.lines.change(func(lines *[]string) { *lines = append(*lines, string(line)) })
		l.rest = rest
		if l.moves != nil {
			l.moves.Add(1)
		}
	}
}

// Lines returns all whole lines so far.
func (l *Log) Lines() []string {
	var all []string
	l.lines.read(func(lines []string) { all = slices.Clone(lines) })
	return all
}

// Text returns all whole lines so far as one text.
func (l *Log) Text() string { return strings.Join(l.Lines(), "\n") }

// size returns the number of lines.
func (l *Log) size() (n int64) {
	l.lines.read(func(lines []string) { n = int64(len(lines)) })
	return n
}

// find returns the first line with that message, as soon as there is one.
func (l *Log) find(ctx context.Context, message string) (map[string]any, error) {
	var found map[string]any
	read := 0 // lines that are no such line
	err := l.lines.await(ctx, func(lines []string) bool {
		for ; read < len(lines); read++ {
			var line map[string]any
			if json.Unmarshal([]byte(lines[read]), &line) == nil && line["msg"] == message {
				found = line
				return true
			}
		}
		return false
	})
	return found, err
}

// maxShown is how many lines of a log are worth reading when a test has failed.
const maxShown = 100

// tail returns the last lines.
func (l *Log) tail() string {
	lines := l.Lines()
	return strings.Join(lines[max(len(lines)-maxShown, 0):], "\n")
}
