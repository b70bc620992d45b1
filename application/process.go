package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// unknownEndpointDelay is how long a request waits when a worker does not know its endpoint. While a new configuration
// is rolled out, another worker may know it.
const unknownEndpointDelay = 10 * time.Second

// ProcessOptions configure Process.
type ProcessOptions struct {
	Endpoints     ports.Endpoints // with the backend that calls them
	MaxDeliveries int             // queue.max_deliveries; less than FirstAlone is as good as that
	Now           func() time.Time
	Random        func() float64 // in [0, 1); safe for concurrent use
}

// Process is the use-case of a worker: it makes one attempt and decides what becomes of the request. It is safe for
// concurrent use.
type Process struct {
	opts     ProcessOptions
	observer ports.Observer
}

// NewProcess returns the use-case.
func NewProcess(opts ProcessOptions, observer ports.Observer) *Process {
	return &Process{opts: opts, observer: observer}
}

// Process blocks for at most one attempt and returns the outcome of the delivery; whatever fails is an outcome too.
// When ctx ends with the cause ports.ErrInterrupted, the call is cut off, which is charged. Reserve is called for the
// memory of a large response.
func (p *Process) Process(ctx context.Context, d ports.Delivery, reserve ports.Reserve) domain.Outcome {
	configured := p.opts.Endpoints.Load()
	endpoint, known := configured.ByName[d.Request.Endpoint]
	seen := ports.Attempted{Request: &d.Request, Endpoint: endpoint.Name, Attempt: d.Attempts, Deliveries: d.Deliveries}
	now := p.opts.Now().UTC()
	switch {
	case !now.Before(d.Request.Deadline):
		seen.Label, seen.Outcome = ports.LabelDeadline, domain.PastDeadline(d.Attempts, d.Answered, now)
	case d.Deliveries > max(p.opts.MaxDeliveries, FirstAlone):
		seen.Label, seen.Outcome = ports.LabelMaxDeliveries, undeliverable(d, now)
	case !known:
		seen.Label, seen.Outcome = ports.LabelUnknownEndpoint, HandBack(d, now, unknownEndpointDelay)
	case d.Attempts >= endpoint.Retry.Attempts(d.Request.MaxAttempts):
		seen.Label, seen.Outcome = string(domain.ReasonAttempts), exhausted(d, now)
	default:
		p.attempt(ctx, configured.Backend, endpoint, d, reserve, &seen)
	}
	p.observer.Attempted(ctx, seen)
	return seen.Outcome
}

// attempt calls the backend until the time of the attempt or the request's deadline is over, whichever comes first. The
// time of the attempt does not count while the call waits for memory of this process. A deadline that leaves the
// backend less than half of that time is told from a slow backend, for the sake of breakers.
func (p *Process) attempt(
	ctx context.Context, backend ports.Backend, endpoint domain.Endpoint, d ports.Delivery, reserve ports.Reserve,
	seen *ports.Attempted,
) {
	a := domain.Attempt{
		Charged: d.Attempts, MaxAttempts: d.Request.MaxAttempts, Answered: d.Answered,
		Deadline: d.Request.Deadline, Started: p.opts.Now().UTC(), Random: p.opts.Random(),
	}
	seen.Attempt = d.Attempts + 1
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	limit := startClock(endpoint.Timeout, func() { end(context.DeadlineExceeded) })
	defer limit.stop()
	deadline := time.AfterFunc(d.Request.Deadline.Sub(a.Started), func() {
		if limit.fair() {
			end(context.DeadlineExceeded)
		} else {
			end(ports.ErrHasty)
		}
	})
	defer deadline.Stop()
	method := endpoint.MethodFor(d.Request.Method)
	call := ports.Call{
		Request: &d.Request, Method: method, Attempt: seen.Attempt, Reserve: limit.pausedDuring(reserve),
		Repeatable: domain.Idempotent(method) || endpoint.Retry.Attempts(d.Request.MaxAttempts) > 1,
	}
	response, err := backend.Do(ctx, call)
	a.Ended = p.opts.Now().UTC()
	if err != nil {
		a.Failure = failureOf(err)
		seen.Label, seen.Address = string(a.Failure.Kind), a.Failure.Address
	} else {
		a.Response = response
		seen.Label, seen.StatusCode = ports.LabelAnswered, response.StatusCode
	}
	seen.Outcome = endpoint.Retry.Decide(a)
}

// failureOf returns the failure within the error of a backend. Any other error counts as a broken connection.
func failureOf(err error) *domain.Failure {
	if failure, ok := errors.AsType[*domain.Failure](err); ok {
		return failure
	}
	return &domain.Failure{Kind: domain.FailureBroken, Err: err}
}

// exhausted returns the outcome of a request that arrives without attempts left: another program made them, or the
// limit was higher before. The last response, if any, is kept.
func exhausted(d ports.Delivery, now time.Time) domain.Outcome {
	return domain.Outcome{
		Status: domain.Failed, Attempts: d.Attempts, Reason: domain.ReasonAttempts, At: now,
		Error: fmt.Sprintf("no attempts left: %d were charged before this delivery", d.Attempts),
	}
}

func undeliverable(d ports.Delivery, now time.Time) domain.Outcome {
	return domain.Outcome{
		Status: domain.Failed, Attempts: d.Attempts, Reason: domain.ReasonMaxDeliveries, At: now,
		Error: fmt.Sprintf("begun %d times, the last %d with nothing else running, but every worker crashed or lost it",
			d.Deliveries-1, d.Deliveries-FirstAlone),
	}
}

// HandBack returns the outcome of a delivery without a call: uncharged, not counted, and PENDING until delay is over or
// its deadline comes, whichever is first. Earlier deliveries without an outcome still count.
func HandBack(d ports.Delivery, now time.Time, delay time.Duration) domain.Outcome {
	delay = min(delay, max(d.Request.Deadline.Sub(now), 0)) // never in the past
	return domain.Outcome{
		Status: domain.Pending, NextAttemptAt: now.Add(delay), At: now,
		Attempts: d.Attempts, Deliveries: max(d.Deliveries-1, 0),
	}
}
