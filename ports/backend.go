package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Backend calls the service behind an endpoint.
type Backend interface {
	// Do makes one attempt: at most one request that the backend may have processed, except with Call.Repeatable. A
	// request that the backend cannot have processed is sent again. Any HTTP status is a Response. Without one the error
	// is always a *domain.Failure; when ctx ends its kind is FailureTimeout or, with the cause ErrInterrupted,
	// FailureInterrupted. When this process has no file descriptor or local port left, nothing is sent and the kind is
	// FailureShortage; when the backend turns the request away unread again and again, it is FailureRefused. Do changes
	// nothing of call.Request, but may read its body for a moment after it has returned. The caller owns the response.
	Do(ctx context.Context, call Call) (*domain.Response, error)
}

// Call is one attempt to make.
type Call struct {
	Request *domain.Request
	Method  string
	Attempt int // from 1

	// Repeatable allows Do to send the request once more when a reused connection ends without one byte of a response:
	// most likely the backend closed it for being idle. The same holds for an HTTP/2 stream that the backend ends with
	// PROTOCOL_ERROR. The backend may have processed the request all the same.
	Repeatable bool

	// Reserve is called, at most once, before a response is read that may be larger than UnreservedBytes, with all of
	// its bytes. It blocks until there is room in memory, or ctx ends. The room is kept until the outcome of the call is
	// saved. Nil: there is always room.
	Reserve Reserve
}

// Reserve reserves memory for so many bytes, or all memory where that is less.
type Reserve func(ctx context.Context, bytes int64) error

// UnreservedBytes is the size of the largest response that needs no room reserved.
const UnreservedBytes = 64 << 10
