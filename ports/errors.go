package ports

import "errors"

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
	ErrUnreadable      = errors.New("the original of the dead letter cannot be read")

	// ErrMisconfigured: what is configured can never work with what is there, whoever tries again. It ends a start with
	// the exit code of a wrong configuration.
	ErrMisconfigured = errors.New("the configuration cannot be used")

	// ErrNotMovable: the contents of a store cannot be moved now, or not all of them.
	ErrNotMovable = errors.New("not moved")

	// ErrInterrupted is the cause of a context that a shutdown or a lost lease cancelled in the middle of a call.
	ErrInterrupted = errors.New("interrupted")
)
