package domain

import "time"

// Status is where a request stands.
type Status string

// A request is PENDING (queued, delayed, or waiting for its next attempt), then PROCESSING (a worker has begun it),
// then one of the four final ones. Between attempts it goes back to PENDING.
const (
	Pending    Status = "PENDING"
	Processing Status = "PROCESSING"
	Completed  Status = "COMPLETED" // the backend answered, and the answer is not one to retry
	Failed     Status = "FAILED"    // attempts used up, an error no retry mends, or no time for the next attempt
	TimedOut   Status = "TIMEOUT"   // the deadline passed before any answer
	Cancelled  Status = "CANCELLED" // by the client while it was PENDING
)

// Final reports whether the status never changes again.
func (s Status) Final() bool {
	return s == Completed || s == Failed || s == TimedOut || s == Cancelled
}

// DeadLettered reports whether a request that ends so is kept as a dead letter.
func (s Status) DeadLettered() bool {
	return s == Failed || s == TimedOut
}

// CanBecome reports whether the move is legal.
func (s Status) CanBecome(next Status) bool {
	switch s {
	case Pending: // FAILED without being begun: a dead letter made by the deadline after an earlier answer
		return next == Processing || next == Cancelled || next == TimedOut || next == Failed
	case Processing: // PROCESSING again: another worker took over
		return next == Processing || next == Pending || next == Completed || next == TimedOut || next == Failed
	default:
		return false
	}
}

// Record is what the store knows of one request.
type Record struct {
	ID         ID
	Endpoint   string
	Owner      string
	Priority   int
	ResentFrom ID // the dead letter that the request was made from; empty: it came from a client

	Status        Status
	SubmittedAt   time.Time
	UpdatedAt     time.Time
	NextAttemptAt time.Time // zero unless PENDING and waiting for that moment
	Deadline      time.Time

	Attempts   int // calls of the backend that were charged
	Deliveries int // hand-outs since the last outcome; only crashes and lost leases let it grow

	ResponseSize int64   // Response.Size of the kept response; 0 without one
	Result       *Result // nil until there is one, and in reads that leave it out
}
