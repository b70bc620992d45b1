package conformance

import (
	"errors"
	"fmt"
	"sync"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// ledger keeps account of what was handed out and finished, by whomever, and tells what must not happen.
type ledger struct {
	mu      sync.Mutex
	entries map[domain.ID]*entry
	tokens  map[string]bool // id and token of every delivery
	left    int             // not final yet
	done    chan struct{}   // closed when all are final
}

// entry is what the ledger knows of one request. Attempts only grow. A retry that was taken may be handed out before
// its finish has returned: so there is what was offered, and of that what was surely taken.
type entry struct {
	offered int
	charged int
	final   domain.Status
}

func newLedger(reqs []domain.Request) *ledger {
	l := &ledger{
		entries: make(map[domain.ID]*entry, len(reqs)),
		tokens:  make(map[string]bool, len(reqs)),
		left:    len(reqs),
		done:    make(chan struct{}),
	}
	for _, r := range reqs {
		l.entries[r.ID] = &entry{}
	}
	return l
}

// handedOut notes a delivery. Once a final outcome was taken there must be no other delivery: one begun before would
// have fenced that finish off, and one begun after would be of a final request.
func (l *ledger) handedOut(d ports.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := d.Request.ID
	token := string(id) + " " + d.Token
	e := l.entries[id]
	switch {
	case e == nil:
		return fmt.Errorf("%s was handed out but never accepted", id)
	case l.tokens[token]:
		return fmt.Errorf("%s was handed out twice under one token", id)
	case e.final != "":
		return fmt.Errorf("%s was handed out after it was %s", id, e.final)
	case d.Attempts < e.charged || d.Attempts > e.offered:
		return fmt.Errorf("%s was handed out with %d attempts and has %d to %d", id, d.Attempts, e.charged, e.offered)
	}
	l.tokens[token] = true
	return nil
}

// finish calls f, which finishes a delivery with out, and notes its answer. A lost one is no fault.
func (l *ledger) finish(id domain.ID, out domain.Outcome, f func() error) error {
	l.mu.Lock()
	e := l.entries[id]
	e.offered = max(e.offered, out.Attempts)
	l.mu.Unlock()
	if err := f(); err != nil {
		if errors.Is(err, ports.ErrLost) {
			return nil
		}
		return fmt.Errorf("finish: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.charged = max(e.charged, out.Attempts)
	if !out.Status.Final() {
		// It may be noted late: handed out again and final meanwhile. A retry that was really taken after a final
		// outcome would be handed out once more, or show in the record.
		return nil
	}
	if e.final != "" {
		return fmt.Errorf("%s became %s after it was %s", id, out.Status, e.final)
	}
	e.final = out.Status
	if l.left--; l.left == 0 {
		close(l.done)
	}
	return nil
}

// check compares a record with its entry.
func (l *ledger) check(r domain.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[r.ID]
	if r.Status != e.final || r.Attempts != e.charged {
		return fmt.Errorf("%s is %s with %d attempts and was finished as %s with %d",
			r.ID, r.Status, r.Attempts, e.final, e.charged)
	}
	return nil
}
