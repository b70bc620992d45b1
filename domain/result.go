package domain

import "time"

// Response is the response of a backend, byte for byte.
type Response struct {
	StatusCode int
	Header     Header // end-to-end fields only
	Body       []byte
}

// Size returns the number of bytes that memory limits count for the response: body and header.
func (r *Response) Size() int64 { return int64(len(r.Body)) + r.Header.size() }

// Result is how a request ended.
type Result struct {
	Response       *Response // the last one that the backend sent; nil: none
	Reason         Reason    // why it is FAILED or TIMEOUT; empty otherwise
	Error          string    // the same for people, without secrets
	CompletedAt    time.Time
	ProcessingTime time.Duration // of the last attempt
}

// Reason is the machine-readable cause of a dead letter. It is a metric label and an API filter, so the set is closed
// and no value is ever removed.
type Reason string

// The reasons of dead letters.
const (
	ReasonAttempts      Reason = "attempts_exhausted"
	ReasonDeadline      Reason = "deadline"           // passed, or the next attempt would come after it
	ReasonRejected      Reason = "rejected"           // a permanent error: another attempt would fail too
	ReasonMaxDeliveries Reason = "max_deliveries"     // its workers died each time, also when they ran nothing else
	ReasonUndecodable   Reason = "undecodable"        // not a message that we understand
	ReasonTooLarge      Reason = "response_too_large" // the response is over proxy.max_response_size
	ReasonLost          Reason = "lost_by_broker"     // the broker has no message of it any more, and nothing has begun it
	ReasonIDConflict    Reason = "id_conflict"        // a message with the id of another request
	ReasonBadResult     Reason = "bad_result"         // another program sent a result of it that cannot be read
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{
		ReasonAttempts, ReasonDeadline, ReasonRejected, ReasonMaxDeliveries, ReasonUndecodable, ReasonTooLarge,
		ReasonLost, ReasonIDConflict, ReasonBadResult,
	}
}

// Outcome is what becomes of a request after one delivery: final, or PENDING until its next attempt.
type Outcome struct {
	Status         Status
	NextAttemptAt  time.Time // only with PENDING
	Attempts       int       // charged so far, including one of this delivery
	Deliveries     int       // earlier ones without an outcome that still count; only with PENDING and without a call
	Response       *Response // nil keeps the response of an earlier attempt
	Reason         Reason
	Error          string
	At             time.Time // when the delivery ended
	ProcessingTime time.Duration
}

// PastDeadline returns the outcome of a request whose deadline passed before its next attempt: FAILED when an earlier
// attempt was answered, else TIMEOUT.
func PastDeadline(attempts int, answered bool, at time.Time) Outcome {
	if answered {
		return Outcome{
			Status: Failed, Attempts: attempts, Reason: ReasonDeadline, At: at,
			Error: "the deadline passed before the next attempt",
		}
	}
	return Outcome{
		Status: TimedOut, Attempts: attempts, Reason: ReasonDeadline, At: at,
		Error: "the deadline passed before the backend answered",
	}
}

// Lost returns the outcome of a request whose message the broker has lost. Original: the store has the original.
func Lost(at time.Time, original bool) Outcome {
	text := "the broker deleted the message before a worker read it, or never confirmed it"
	if !original {
		text += "; there is no original"
	}
	return Outcome{Status: Failed, Reason: ReasonLost, At: at, Error: text}
}
