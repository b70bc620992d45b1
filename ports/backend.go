package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Backend calls the service behind an endpoint.
type Backend interface {
	// Do makes one attempt: at most one request that the backend may have processed, but for Call.Repeatable. What it
	// cannot have processed Do sends again by itself. Any HTTP status is a Response.
	// Without one the error is always a *domain.Failure; when ctx ends its kind is FailureTimeout or, with the cause
	// ErrInterrupted, FailureInterrupted. Do changes nothing of call.Request, but may read its body for a moment after
	// it has returned; the response is the caller's.
	Do(ctx context.Context, call Call) (*domain.Response, error)
}

// Call is one attempt to make.
type Call struct {
	Request *domain.Request
	Method  string
	Attempt int // from 1

	// Repeatable allows to send the request once more when a connection that was used before ends without one byte of an
	// answer: the backend has most likely closed it for being idle. It may have processed the request all the same.
	Repeatable bool

	// Reserve is asked, once at most, before a response is read that may be larger than UnreservedBytes, for all of
	// its bytes. It blocks until there is room in memory, or ctx ends. What it gives is kept until the outcome of the
	// call is saved. nil: there is room.
	Reserve Reserve
}

// Reserve takes memory for so many bytes, or as many as there are altogether.
type Reserve func(ctx context.Context, bytes int64) error

// UnreservedBytes is how large a response may be that nobody asks room for.
const UnreservedBytes = 64 << 10
