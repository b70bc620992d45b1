// Package application holds the use-cases of the gateway, in terms of the ports.
package application

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// SubmitOptions configure Submit.
type SubmitOptions struct {
	Endpoints      ports.Endpoints
	Headers        domain.HeaderPolicy
	Forwarded      domain.Forwarding // header fields for the submission's origin
	MaxAge         time.Duration     // the longest time from submission to deadline, and the default
	IdempotencyTTL time.Duration     // how long a repeat with the same key is recognized
	Now            func() time.Time
	NewID          func() (domain.ID, error)
}

// Submit is the use-case that accepts requests. It is safe for concurrent use.
type Submit struct {
	opts     SubmitOptions
	intake   ports.Intake
	observer ports.Observer
}

var _ ports.Submitter = (*Submit)(nil)

// NewSubmit returns the use-case.
func NewSubmit(opts SubmitOptions, intake ports.Intake, observer ports.Observer) *Submit {
	return &Submit{opts: opts, intake: intake, observer: observer}
}

// Submit implements ports.Submitter: it validates the submission, makes the request durable, and only then returns.
func (s *Submit) Submit(ctx context.Context, sub ports.Submission) (ports.Receipt, error) {
	req, err := s.request(sub)
	if err != nil {
		return ports.Receipt{}, err
	}
	accepted := s.intake.Accept(ctx, []domain.Request{req})[0]
	if accepted.Outcome == ports.AcceptedMismatch {
		accepted.Err = ports.ErrMismatch
	}
	s.observer.Submitted(ctx, accepted.Err)
	if accepted.Err != nil {
		return ports.Receipt{}, accepted.Err
	}
	return ports.Receipt{
		ID:          accepted.Record.ID,
		SubmittedAt: accepted.Record.SubmittedAt,
		Status:      accepted.Record.Status,
	}, nil
}

// Check implements ports.Submitter. It returns the error that Submit would return for any body.
func (s *Submit) Check(sub ports.Submission) error {
	sub.Bodiless = true
	_, err := s.terms(sub)
	return err
}

// terms are what a valid submission determines about its request.
type terms struct {
	endpoint                 string
	method                   string // that is sent
	now, notBefore, deadline time.Time
}

// terms validates a submission.
func (s *Submit) terms(sub ports.Submission) (terms, error) {
	endpoint, err := s.endpoint(sub)
	if err != nil {
		return terms{}, err
	}
	if err := checkTarget(sub, endpoint.MethodFor(sub.Method)); err != nil {
		return terms{}, err
	}
	if err := checkRanges(sub); err != nil {
		return terms{}, err
	}
	t := terms{
		endpoint: endpoint.Name, method: endpoint.MethodFor(sub.Method),
		now: s.opts.Now().UTC().Truncate(time.Microsecond),
	}
	t.deadline, t.notBefore, err = s.times(sub, t.now)
	return t, err
}

// request validates a submission and returns the request that it makes.
func (s *Submit) request(sub ports.Submission) (domain.Request, error) {
	terms, err := s.terms(sub)
	if err != nil {
		return domain.Request{}, err
	}
	id, err := s.opts.NewID()
	if err != nil {
		return domain.Request{}, fmt.Errorf("make a correlation id: %w", err)
	}
	scope := callerScope(&sub)
	header := s.opts.Headers.Apply(sub.Header)
	scopeBackendKey(header, sub.Caller.Name, scope)
	s.opts.Forwarded.Apply(header, sub.Origin)
	req := domain.Request{
		ID: id, Endpoint: terms.endpoint, Method: sub.Method, Path: sub.Path, Query: sub.Query,
		Header: header, Body: sub.Body,
		Owner: sub.Caller.Name, Priority: sub.Priority, Labels: sub.Labels,
		SubmittedAt: terms.now, NotBefore: terms.notBefore, Deadline: terms.deadline, MaxAttempts: sub.MaxAttempts,
	}
	if sub.IdempotencyKey != "" {
		same := req
		same.Method = terms.method // left out or written, it is the same request
		req.Idempotency = &domain.Idempotency{
			Key:         scopedKey(sub.IdempotencyKey, scope),
			Fingerprint: same.Fingerprint(),
			ExpiresAt:   terms.now.Add(s.opts.IdempotencyTTL),
		}
	}
	return req, nil
}

// endpoint returns the submission's endpoint, if the caller may use it.
func (s *Submit) endpoint(sub ports.Submission) (domain.Endpoint, error) {
	configured := s.opts.Endpoints.Load()
	name := sub.Endpoint
	if name == "" {
		name = configured.Default
	}
	if name == "" {
		return domain.Endpoint{}, &domain.Invalid{
			Field: "metadata.endpoint", Reason: "is required: no default endpoint is configured",
		}
	}
	endpoint, known := configured.ByName[name]
	if !known {
		return domain.Endpoint{}, fmt.Errorf("%w: %q", ports.ErrUnknownEndpoint, name)
	}
	if allowed := sub.Caller.Endpoints; len(allowed) > 0 && !slices.Contains(allowed, name) {
		return domain.Endpoint{}, ports.ErrForbidden
	}
	return endpoint, nil
}

// bodiless are the methods that are usually sent without content (RFC 9110 section 9.3).
var bodiless = []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions}

func checkTarget(sub ports.Submission, method string) error {
	// Both address the next hop, which is us: CONNECT asks for a tunnel, and TRACE for the request as it arrived, which
	// would show secrets of the endpoint (RFC 9110 sections 9.3.6 and 9.3.8).
	if method == http.MethodConnect || method == http.MethodTrace {
		return &domain.Invalid{Field: "metadata.method", Reason: method + " cannot be forwarded"}
	}
	if reason := domain.CheckPath(sub.Path); reason != "" {
		return &domain.Invalid{Field: "metadata.path", Reason: reason}
	}
	if reason := domain.CheckQuery(sub.Query); reason != "" {
		return &domain.Invalid{Field: "metadata.query", Reason: reason}
	}
	if sub.Body == nil && !sub.Bodiless && !slices.Contains(bodiless, method) {
		return &domain.Invalid{Field: "payload", Reason: "is required with the method " + method}
	}
	return nil
}

// checkRanges refuses values that a message cannot carry.
func checkRanges(sub ports.Submission) error {
	invalid := func(field, reason string) error { return &domain.Invalid{Field: "metadata." + field, Reason: reason} }
	switch {
	case sub.Priority < 0 || sub.Priority > envelope.MaxPriority:
		return invalid("priority", fmt.Sprintf("must be from 0 to %d", envelope.MaxPriority))
	case sub.MaxAttempts < 0 || sub.MaxAttempts > envelope.MaxAttempts:
		return invalid("max_attempts", fmt.Sprintf("must be from 1 to %d", envelope.MaxAttempts))
	case sub.Timeout < 0:
		return invalid("timeout", "must not be negative")
	case sub.Delay < 0:
		return invalid("delay", "must not be negative")
	case sub.Delay > 0 && !sub.NotBefore.IsZero():
		return invalid("not_before", "cannot be combined with delay")
	}
	return nil
}

// times returns the deadline and the time before which no attempt begins.
func (s *Submit) times(sub ports.Submission, now time.Time) (deadline, notBefore time.Time, err error) {
	timeout := sub.Timeout
	if timeout == 0 {
		timeout = s.opts.MaxAge
	}
	if timeout > s.opts.MaxAge {
		return deadline, notBefore, &domain.Invalid{
			Field: "metadata.timeout", Reason: fmt.Sprintf("must be at most %s (request.max_age)", s.opts.MaxAge),
		}
	}
	deadline = now.Add(timeout)
	field := "metadata.not_before"
	notBefore = sub.NotBefore.UTC()
	if sub.Delay > 0 {
		field, notBefore = "metadata.delay", now.Add(sub.Delay)
	}
	if !notBefore.IsZero() && !notBefore.Before(deadline) {
		return deadline, notBefore, &domain.Invalid{
			Field: field, Reason: "must be before the deadline (timeout, or request.max_age)",
		}
	}
	if !notBefore.After(now) {
		notBefore = time.Time{}
	}
	return deadline, notBefore, nil
}
