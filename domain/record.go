package domain

import "time"

// Status is the state of a request.
type Status string

// A request is PENDING (queued, delayed, or waiting for its next attempt), then PROCESSING (a worker has begun it),
// then in one of the four final states. Between attempts it is PENDING again.
const (
	Pending    Status = "PENDING"
	Processing Status = "PROCESSING"
	Completed  Status = "COMPLETED" // the backend responded, and the response is not retried
	Failed     Status = "FAILED"    // no attempts left, a permanent error, or no time for the next attempt
	TimedOut   Status = "TIMEOUT"   // the deadline passed before any response
	Cancelled  Status = "CANCELLED" // by the client while it was PENDING
)

// Final reports whether the status can no longer change.
func (s Status) Final() bool {
	return s == Completed || s == Failed || s == TimedOut || s == Cancelled
}

// DeadLettered reports whether a request with this final status is kept as a dead letter.
func (s Status) DeadLettered() bool {
	return s == Failed || s == TimedOut
}

// CanBecome reports whether a request with this status may change to the next one.
func (s Status) CanBecome(next Status) bool {
	switch s {
	case Pending: // FAILED without another attempt: the deadline passed after an earlier response
		return next == Processing || next == Cancelled || next == TimedOut || next == Failed
	case Processing: // PROCESSING again: another worker took over
		return next == Processing || next == Pending || next == Completed || next == TimedOut || next == Failed
	default:
		return false
	}
}

// Record is the state of one request in the store.
type Record struct {
	ID         ID
	Endpoint   string
	Owner      string
	Priority   int
	ResentFrom ID // the dead letter that the request was resent from; empty: it came from a client

	Status        Status
	SubmittedAt   time.Time
	UpdatedAt     time.Time
	NextAttemptAt time.Time // zero unless the request is PENDING and not yet due
	Deadline      time.Time

	Attempts   int // charged calls of the backend
	Deliveries int // without an outcome; above 1 only after crashes and lost leases

	ResponseSize int64   // Response.Size of the stored response, in bytes; 0 without one
	Result       *Result // nil until the request is final, and where a read leaves it out
}
