package ports

import (
	"context"
	"errors"
	"fmt"
)

// The errors of ports and use-cases. Adapters wrap them with what happened, once, where the vendor's error is known.
var (
	ErrNotFound        = errors.New("no such request")
	ErrConflict        = errors.New("the request is not in a state that allows this")
	ErrLost            = errors.New("another worker holds the delivery by now")
	ErrUnavailable     = errors.New("the queue or store is not available")
	ErrFull            = errors.New("the queue is full")
	ErrStorageLow      = errors.New("the disk has too little free space")
	ErrTooLarge        = errors.New("the message exceeds the size limit of the broker")
	ErrClosed          = errors.New("closed")
	ErrUnknownEndpoint = errors.New("unknown endpoint")
	ErrForbidden       = errors.New("not allowed for this key")
	ErrMismatch        = errors.New("the idempotency key was used for another request")
	ErrIDUsed          = errors.New("the id belongs to another request")
	ErrUnreadable      = errors.New("the original of the dead letter cannot be read")

	// ErrRefused: the broker answers, and will not do this until an operator changes something: a password, a permission,
	// a name, or what is there under that name. It matches ErrUnavailable too. The start does not wait for it to pass.
	ErrRefused error = refused{}

	// ErrMisconfigured: what is configured can never work with what is there, whoever tries again. It ends a start with
	// the exit code of a wrong configuration.
	ErrMisconfigured = errors.New("the configuration cannot be used")

	// ErrNotMovable: the contents of a store cannot be moved now, or not all of them.
	ErrNotMovable = errors.New("not moved")

	// ErrInterrupted is the cause of a context that a shutdown or a lost lease cancelled in the middle of a call.
	ErrInterrupted = errors.New("interrupted")

	// ErrHasty is the cause of the context of a call that its request's own deadline ended before the endpoint had half
	// of its time, or while the call waited for memory of this process. It says nothing about the endpoint.
	ErrHasty = fmt.Errorf("the request's own deadline: %w", context.DeadlineExceeded)
)

type refused struct{}

func (refused) Error() string { return "the queue or store refuses this" }

func (refused) Is(target error) bool { return target == ErrUnavailable }
