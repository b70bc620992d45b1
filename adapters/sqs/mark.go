package sqs

import (
	"cmp"
	"context"
	"time"

	"github.com/openhqm/openhqm/ports"
)

// usualEmpty is how long the counts of both queues must have been zero without a break. They may be a minute late: see
// "ApproximateNumberOfMessages" in the API reference of Amazon SQS.
const usualEmpty = time.Minute

// mark is about everything that the queues have, since SQS tells nothing of single messages that it does not hand out.
// So on queues that are never empty it does not pass.
type mark struct {
	q     *Queue
	empty time.Time // since when the queues have been seen empty; zero: the last time they were not
}

// Mark counts the messages of both queues, as Passed does.
func (q *Queue) Mark(ctx context.Context) (ports.Mark, error) {
	m := &mark{q: q}
	if _, err := m.Passed(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Passed counts the messages of both queues, with one request each, and reports whether they have been empty for long.
func (m *mark) Passed(ctx context.Context) (bool, error) {
	messages, err := m.q.depth(ctx)
	now := m.q.link.opts.Now()
	switch {
	case err != nil || messages > 0:
		m.empty = time.Time{}
		return false, err
	case m.empty.IsZero():
		m.empty = now
	}
	return now.Sub(m.empty) >= cmp.Or(m.q.link.opts.emptyFor, usualEmpty), nil
}
