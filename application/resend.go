package application

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// resendTimeout bounds one resend, from reading the dead letter to removing it.
const resendTimeout = 30 * time.Second

// ResendOptions configure Resend.
type ResendOptions struct {
	Endpoints ports.Endpoints
	MaxAge    time.Duration // the longest time from submission to deadline
	Now       func() time.Time
	NewID     func() (domain.ID, error)
}

// Resend is the use-case that makes new requests of dead letters. It is safe for concurrent use.
type Resend struct {
	opts     ResendOptions
	letters  ports.DeadLetters
	intake   ports.Intake
	observer ports.Observer
	turn     chan struct{} // has room for one: two concurrent resends of a dead letter would make two requests
}

var _ ports.Resender = (*Resend)(nil)

// NewResend returns the use-case.
func NewResend(
	opts ResendOptions, letters ports.DeadLetters, intake ports.Intake, observer ports.Observer,
) *Resend {
	return &Resend{opts: opts, letters: letters, intake: intake, observer: observer, turn: make(chan struct{}, 1)}
}

// Resend implements ports.Resender. It makes the new request durable before it deletes the dead letter.
func (r *Resend) Resend(ctx context.Context, id domain.ID) (ports.Resent, error) {
	resent, err := r.resend(ctx, id)
	if err != nil {
		return ports.Resent{}, err
	}
	return resent, nil
}

// ResendMany implements ports.Resender. It resends the dead letters of a page one after the other.
func (r *Resend) ResendMany(
	ctx context.Context, filter ports.DeadLetterFilter, rate int,
) (ports.ResentPage, error) {
	list, err := r.letters.List(ctx, filter)
	if err != nil {
		return ports.ResentPage{}, err
	}
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	var page ports.ResentPage
	for i := range list.Letters {
		if i > 0 && !awaitTick(ctx, ticker.C) {
			return page, nil
		}
		letter := &list.Letters[i]
		done, err := r.add(ctx, &page, letter.ID)
		if err != nil && len(page.Resent) == 0 {
			return ports.ResentPage{}, err
		}
		if done {
			page.Next = ports.DeadLetterPlace{FailedAt: letter.FailedAt, ID: letter.ID}
		}
		if err != nil {
			return page, nil // the next call meets the same error, and returns it
		}
	}
	page.Next = list.Next
	return page, nil
}

// add resends one dead letter and adds the outcome to the page. It returns an error only when the next dead letter
// would meet it too. It reports whether this one is done with, which it may be despite an error.
func (r *Resend) add(ctx context.Context, page *ports.ResentPage, id domain.ID) (done bool, err error) {
	resent, err := r.resend(ctx, id)
	if resent.ID != "" {
		page.Resent = append(page.Resent, resent)
		return true, err
	}
	switch {
	case errors.Is(err, ports.ErrNotFound): // deleted or resent meanwhile
		return true, nil
	case errors.Is(err, ports.ErrUnknownEndpoint), errors.Is(err, ports.ErrUnreadable):
		page.Skipped = append(page.Skipped, ports.Unresendable{ID: id, Err: err})
		return true, nil
	default:
		return false, err
	}
}

// resend resends one dead letter. When it returns both an id and an error, there is a new request, but the dead letter
// may still be there.
func (r *Resend) resend(ctx context.Context, id domain.ID) (ports.Resent, error) {
	// A client that disconnects between the two steps must not leave both the request and the dead letter behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resendTimeout)
	defer cancel()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ports.Resent{}, fmt.Errorf("%w: wait for other resends: %w", ports.ErrUnavailable, ctx.Err())
	}
	req, err := r.request(ctx, id)
	if err != nil {
		return ports.Resent{}, err
	}
	accepted := r.intake.Accept(ctx, []domain.Request{req})[0]
	r.observer.Submitted(ctx, accepted.Err)
	if accepted.Err != nil {
		return ports.Resent{}, accepted.Err
	}
	resent := ports.Resent{From: id, ID: req.ID, SubmittedAt: accepted.Record.SubmittedAt}
	if err := r.letters.Delete(ctx, id); err != nil && !errors.Is(err, ports.ErrNotFound) {
		return resent, fmt.Errorf("resent as %s, but the dead letter could not be deleted: %w", req.ID, err)
	}
	return resent, nil
}

// request returns the new request.
func (r *Resend) request(ctx context.Context, id domain.ID) (domain.Request, error) {
	letter, err := r.letters.Find(ctx, id)
	if err != nil {
		return domain.Request{}, err
	}
	if letter.Request == nil {
		return domain.Request{}, ports.ErrUnreadable
	}
	if _, known := r.opts.Endpoints.Load().ByName[letter.Endpoint]; !known {
		return domain.Request{}, fmt.Errorf("%w: %q", ports.ErrUnknownEndpoint, letter.Endpoint)
	}
	newID, err := r.opts.NewID()
	if err != nil {
		return domain.Request{}, fmt.Errorf("make a correlation id: %w", err)
	}
	return letter.Resend(newID, r.opts.Now().UTC().Truncate(time.Microsecond), r.opts.MaxAge), nil
}

// awaitTick blocks until the next tick. It returns false when ctx has ended by then.
func awaitTick(ctx context.Context, tick <-chan time.Time) bool {
	select {
	case <-tick:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
