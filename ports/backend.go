package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Backend calls the service behind an endpoint.
type Backend interface {
	// Do makes one attempt: at most one request on the wire, never repeated by itself. Any HTTP status is a Response.
	// Without one the error is always a *domain.Failure; when ctx ends its kind is FailureTimeout or, with the cause
	// ErrInterrupted, FailureInterrupted. call.Request.Header has passed the header policy. Do keeps nothing of call
	// when it returns; the response is the caller's.
	Do(ctx context.Context, call Call) (*domain.Response, error)
}

// Call is one attempt to make.
type Call struct {
	Request *domain.Request
	Method  string
	Attempt int // from 1
}
