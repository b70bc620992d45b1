package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// MoveSide is one of the two stores of a move.
type MoveSide struct {
	Name  string // for people, and for the marks: the same whenever the store is the same
	Store ports.Movable
}

// MoveOptions configure Move.
type MoveOptions struct {
	From, To MoveSide

	// Ready returns an error while the source cannot be moved, although nothing uses it. Drain brings into its store what
	// only its carrier has. Adopt makes the target that of its queue.type. Nil: there is nothing to do.
	Ready, Drain, Adopt func(ctx context.Context) error

	Patience time.Duration       // how long processes may take to be gone
	NewMove  func() string       // names a move
	Progress func(moved MoveSum) // called with all that was moved so far; must not block for long
}

// MoveSum counts what was moved, or is to be moved. A request may be in several of the numbers.
type MoveSum struct {
	Ready       int // requests
	Delayed     int
	Carried     int // whose bodies only a carrier has; never moved like this
	Final       int // records with results
	DeadLetters int
	Keys        int // idempotency keys
	InUse       int // that were left, because the target cannot have them: their id or key is in use there
}

// Total returns how many requests and dead letters there are, without those that were left.
func (s *MoveSum) Total() int { return s.Ready + s.Delayed + s.Carried + s.Final + s.DeadLetters }

// Move is the use-case that moves all that a store keeps to another one. What is in the target, durably, is removed
// from the source: a move that was cut off goes on where it was when it is run again, and nothing is in both.
type Move struct{ opts MoveOptions }

// NewMove returns the use-case.
func NewMove(opts MoveOptions) *Move { return &Move{opts} }

// counted names what was counted: an Exporter may hand out again what is not removed.
type counted struct {
	id                  domain.ID
	record, letter, key bool
}

// Count returns what is to be moved, and changes nothing. It holds all ids in memory.
func (m *Move) Count(ctx context.Context) (sum MoveSum, err error) {
	seen := make(map[counted]struct{})
	err = m.opts.From.Store.Export(ctx, func(some []ports.Stored) error {
		for i := range some {
			one := &some[i]
			what := counted{one.ID, one.Record != nil, one.Letter != nil, one.Key != nil}
			if _, again := seen[what]; !again {
				seen[what] = struct{}{}
				sum.add(one)
			}
		}
		return nil
	})
	return sum, err
}

// Run moves everything. It blocks until that is done or ctx ends, and returns what was moved, also with an error. While
// anything uses one of the stores it changes nothing and returns ports.ErrNotMovable.
func (m *Move) Run(ctx context.Context) (sum MoveSum, err error) {
	marks, err := m.begin(ctx)
	if err != nil {
		return sum, err
	}
	if err := do(ctx, m.opts.Drain); err != nil {
		return sum, err
	}
	if marks.same {
		err = do(ctx, m.opts.Adopt) // not before nothing is left in the carrier
	} else {
		sum, err = m.transfer(ctx)
	}
	if err != nil {
		return sum, err
	}
	return sum, m.end(ctx, marks, sum)
}

// do does something that there may be to do.
func do(ctx context.Context, step func(context.Context) error) error {
	if step == nil {
		return nil
	}
	return step(ctx)
}

// moveMarks are what the stores have noted.
type moveMarks struct {
	move     string
	from, to ports.MoveMark // before
	same     bool           // both are one store
}

// begin marks both stores, so that no process starts on them, and makes sure that none uses them.
func (m *Move) begin(ctx context.Context) (marks moveMarks, err error) {
	from, to := &m.opts.From, &m.opts.To
	if marks.from, err = from.Store.Mark(ctx); err != nil {
		return marks, err
	}
	if marks.to, err = to.Store.Mark(ctx); err != nil {
		return marks, err
	}
	if err := m.check(marks); err != nil {
		return marks, err
	}
	if err := m.awaitQuiet(ctx, m.opts.Patience); err != nil { // without marks, so that what runs can still be restarted
		return marks, err
	}
	marks.move = m.opts.NewMove()
	leaving := ports.MoveMark{State: ports.MoveLeaving, Move: marks.move, Peer: to.Name}
	if err := from.Store.SetMark(ctx, leaving); err != nil {
		return marks, err
	}
	seen, err := to.Store.Mark(ctx)
	if marks.same = seen == leaving; err == nil && !marks.same {
		err = to.Store.SetMark(ctx, ports.MoveMark{State: ports.MoveArriving, Move: marks.move, Peer: from.Name})
	}
	if err == nil {
		err = m.awaitQuiet(ctx, 0)
	}
	if err == nil {
		err = do(ctx, m.opts.Ready)
	}
	if err == nil && !marks.same {
		err = do(ctx, m.opts.Adopt)
	}
	if err != nil {
		return marks, errors.Join(err, m.undo(context.WithoutCancel(ctx), marks))
	}
	return marks, nil
}

// check refuses to mix two moves. One that goes back is another one that may begin before the first has ended.
func (m *Move) check(marks moveMarks) error {
	for _, side := range []struct {
		mark     ports.MoveMark
		at, peer string
		left     bool // a store that was emptied may be used again
	}{{marks.from, m.opts.From.Name, m.opts.To.Name, false}, {marks.to, m.opts.To.Name, m.opts.From.Name, true}} {
		switch {
		case side.mark.State == ports.MoveNone, side.mark.Peer == side.peer:
		case marks.from == marks.to && side.left: // both are one store, and checked as the source
		case side.mark.State == ports.MoveLeft && side.left:
		case side.mark.State == ports.MoveLeft:
			return fmt.Errorf("%w: what was at %s has been moved to %s already", ports.ErrNotMovable, side.at, side.mark.Peer)
		default:
			return fmt.Errorf("%w: a move between %s and %s has not ended; run that to its end first",
				ports.ErrNotMovable, side.at, side.mark.Peer)
		}
	}
	return nil
}

// quietEvery is how often awaitQuiet looks.
const quietEvery = time.Second

// awaitQuiet returns when nothing uses the stores, or an error when something still does after some time: what was
// killed seems to run for a while.
func (m *Move) awaitQuiet(ctx context.Context, patience time.Duration) error {
	for waited := time.Duration(0); ; waited += quietEvery {
		users, err := m.users(ctx)
		switch {
		case err != nil:
			return err
		case users == "":
			return nil
		case waited >= patience:
			return fmt.Errorf("%w: %s; stop all processes of both configurations first", ports.ErrNotMovable, users)
		case !outage.Sleep(ctx, quietEvery):
			return context.Cause(ctx)
		}
	}
}

// users says what uses one of the stores; empty: nothing does.
func (m *Move) users(ctx context.Context) (string, error) {
	for _, side := range []MoveSide{m.opts.From, m.opts.To} {
		users, err := side.Store.Users(ctx)
		if err != nil {
			return "", err
		}
		if users != "" {
			return "at " + side.Name + " " + users, nil
		}
	}
	return "", nil
}

// undo restores the marks.
func (m *Move) undo(ctx context.Context, marks moveMarks) error {
	if marks.same {
		return m.opts.From.Store.SetMark(ctx, marks.from)
	}
	return errors.Join(m.opts.To.Store.SetMark(ctx, marks.to), m.opts.From.Store.SetMark(ctx, marks.from))
}

// transfer moves everything from one store to the other, some at a time.
func (m *Move) transfer(ctx context.Context) (sum MoveSum, err error) {
	inUse := make(map[domain.ID]struct{}) // what stays may come again
	err = m.opts.From.Store.Export(ctx, func(some []ports.Stored) error {
		for i := range some {
			if r := &some[i]; r.Record != nil && !r.Record.Status.Final() && r.Request == nil {
				return fmt.Errorf("%w: only a carrier has request %s", ports.ErrNotMovable, r.ID)
			}
		}
		var moved []ports.Stored
		for i, err := range m.opts.To.Store.Import(ctx, some) {
			switch {
			case err == nil:
				moved = append(moved, some[i])
				delete(inUse, some[i].ID)
				sum.InUse = len(inUse)
			case errors.Is(err, ports.ErrConflict):
				inUse[some[i].ID] = struct{}{}
				sum.InUse = len(inUse)
			default:
				return fmt.Errorf("request %s: %w", some[i].ID, err)
			}
		}
		if err := m.opts.From.Store.Remove(ctx, moved); err != nil {
			return err
		}
		for i := range moved {
			sum.add(&moved[i])
		}
		m.opts.Progress(sum)
		return nil
	})
	return sum, err
}

// end notes that the move has ended. The source comes first: until the target has no mark no process starts on either.
func (m *Move) end(ctx context.Context, marks moveMarks, sum MoveSum) error {
	from, to := &m.opts.From, &m.opts.To
	if marks.same {
		return from.Store.SetMark(ctx, ports.MoveMark{})
	}
	left := ports.MoveMark{State: ports.MoveLeft, Move: marks.move, Peer: to.Name}
	if sum.InUse > 0 {
		left = ports.MoveMark{} // what stays there can be worked off there
	}
	if err := from.Store.SetMark(ctx, left); err != nil {
		return err
	}
	if err := to.Store.SetMark(ctx, ports.MoveMark{}); err != nil {
		return err
	}
	if sum.InUse > 0 {
		return fmt.Errorf("%w: %d stay at %s, because their ids or idempotency keys are in use at %s, or "+
			"they are messages of other programs that it cannot keep; everything else is moved, and both can be started",
			ports.ErrNotMovable, sum.InUse, from.Name, to.Name)
	}
	return nil
}

// add counts one.
func (s *MoveSum) add(one *ports.Stored) {
	switch rec := one.Record; {
	case rec == nil:
	case rec.Status.Final():
		s.Final++
	case one.Request == nil:
		s.Carried++
	case rec.NextAttemptAt.IsZero():
		s.Ready++
	default:
		s.Delayed++
	}
	if one.Letter != nil {
		s.DeadLetters++
	}
	if one.Key != nil {
		s.Keys++
	}
}
