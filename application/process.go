package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// unknownEndpointDelay is how long a request stays away from workers whose configuration does not know its endpoint:
// while a new configuration is rolled out, another worker may.
const unknownEndpointDelay = 10 * time.Second

// ProcessOptions are the rules of processing.
type ProcessOptions struct {
	Endpoints     map[string]domain.Endpoint
	MaxDeliveries int
	Now           func() time.Time
	Random        func() float64 // in [0, 1); safe for concurrent use
}

// Process makes one attempt and decides what becomes of the request.
type Process struct {
	opts     ProcessOptions
	backend  ports.Backend
	observer ports.Observer
}

// NewProcess makes the use-case.
func NewProcess(opts ProcessOptions, backend ports.Backend, observer ports.Observer) *Process {
	return &Process{opts: opts, backend: backend, observer: observer}
}

// Process blocks for one attempt at most. When ctx ends with the cause ports.ErrInterrupted the call is cut off, which
// is charged. reserve is asked for the memory of a large response. It never fails: whatever happens is an outcome.
func (p *Process) Process(ctx context.Context, d ports.Delivery, reserve ports.Reserve) domain.Outcome {
	endpoint, known := p.opts.Endpoints[d.Request.Endpoint]
	seen := ports.Attempted{Request: &d.Request, Endpoint: endpoint.Name, Attempt: d.Attempts, Deliveries: d.Deliveries}
	now := p.opts.Now().UTC()
	switch {
	case !now.Before(d.Request.Deadline):
		seen.Label, seen.Outcome = ports.LabelDeadline, domain.PastDeadline(d.Attempts, d.Answered, now)
	case d.Deliveries > p.opts.MaxDeliveries:
		seen.Label, seen.Outcome = ports.LabelMaxDeliveries, undeliverable(d, now)
	case !known:
		seen.Label, seen.Outcome = ports.LabelUnknownEndpoint, HandBack(d, now, unknownEndpointDelay)
	case d.Attempts >= endpoint.Retry.Attempts(d.Request.MaxAttempts):
		seen.Label, seen.Outcome = string(domain.ReasonAttempts), exhausted(d, now)
	default:
		p.attempt(ctx, endpoint, d, reserve, &seen)
	}
	p.observer.Attempted(ctx, seen)
	return seen.Outcome
}

// attempt calls the backend within the attempt's time and the request's deadline, whichever is over first. The time of
// the attempt does not count while the call waits for our limit memory.
func (p *Process) attempt(
	ctx context.Context, endpoint domain.Endpoint, d ports.Delivery, reserve ports.Reserve, seen *ports.Attempted,
) {
	a := domain.Attempt{
		Charged: d.Attempts, MaxAttempts: d.Request.MaxAttempts, Answered: d.Answered,
		Deadline: d.Request.Deadline, Started: p.opts.Now().UTC(), Random: p.opts.Random(),
	}
	seen.Attempt = d.Attempts + 1
	ctx, cancel := context.WithTimeout(ctx, d.Request.Deadline.Sub(a.Started))
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	limit := startClock(endpoint.Timeout, func() { end(context.DeadlineExceeded) })
	defer limit.stop()
	method := endpoint.MethodFor(d.Request.Method)
	call := ports.Call{
		Request: &d.Request, Method: method, Attempt: seen.Attempt, Reserve: limit.unhurried(reserve),
		Repeatable: domain.Idempotent(method) || endpoint.Retry.Attempts(d.Request.MaxAttempts) > 1,
	}
	response, err := p.backend.Do(ctx, call)
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

// failureOf takes the failure that a backend owes; any other error is taken for a broken exchange.
func failureOf(err error) *domain.Failure {
	if failure, ok := errors.AsType[*domain.Failure](err); ok {
		return failure
	}
	return &domain.Failure{Kind: domain.FailureBroken, Err: err}
}

// exhausted is the outcome of a request that came with its attempts used up: others had made them, or the limit was
// higher then. The last response, if any, is kept.
func exhausted(d ports.Delivery, now time.Time) domain.Outcome {
	return domain.Outcome{
		Status: domain.Failed, Attempts: d.Attempts, Reason: domain.ReasonAttempts, At: now,
		Error: fmt.Sprintf("it had used up its attempts before: %d", d.Attempts),
	}
}

func undeliverable(d ports.Delivery, now time.Time) domain.Outcome {
	return domain.Outcome{
		Status: domain.Failed, Attempts: d.Attempts, Reason: domain.ReasonMaxDeliveries, At: now,
		Error: fmt.Sprintf("it was begun %d times, and no worker lived to finish it", d.Deliveries-1),
	}
}

// HandBack is the outcome of a delivery that nothing was done with: PENDING again after delay or at its deadline,
// whichever comes first, uncharged.
func HandBack(d ports.Delivery, now time.Time, delay time.Duration) domain.Outcome {
	delay = min(delay, max(d.Request.Deadline.Sub(now), 0)) // never in the past
	return domain.Outcome{Status: domain.Pending, NextAttemptAt: now.Add(delay), Attempts: d.Attempts, At: now}
}
