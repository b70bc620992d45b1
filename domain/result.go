package domain

import "time"

// Response is what a backend answered, byte for byte.
type Response struct {
	StatusCode int
	Header     Header // end-to-end fields only
	Body       []byte
}

// Size is the number of bytes that the response occupies in memory: body and fields.
func (r *Response) Size() int64 { return int64(len(r.Body)) + r.Header.size() }

// Result is the end of a request.
type Result struct {
	Response       *Response // of the last attempt that was answered; nil when none was
	Reason         Reason    // why it FAILED or ended in TIMEOUT; empty otherwise
	Error          string    // the same for people, without secrets
	CompletedAt    time.Time
	ProcessingTime time.Duration // of the last attempt
}

// Reason says in one word why a request became a dead letter. It is a metric label and an API filter, so the set is
// closed and old words stay.
type Reason string

// The reasons there are.
const (
	ReasonAttempts      Reason = "attempts_exhausted"
	ReasonDeadline      Reason = "deadline"           // passed, or the next attempt would come after it
	ReasonRejected      Reason = "rejected"           // no retry can mend it
	ReasonMaxDeliveries Reason = "max_deliveries"     // begun again and again, and no worker lived to finish it
	ReasonUndecodable   Reason = "undecodable"        // not a message we understand
	ReasonTooLarge      Reason = "response_too_large" // the backend's answer is over proxy.max_response_size
)

// Reasons lists every reason there is.
func Reasons() []Reason {
	return []Reason{
		ReasonAttempts, ReasonDeadline, ReasonRejected, ReasonMaxDeliveries, ReasonUndecodable, ReasonTooLarge,
	}
}

// Outcome is what became of one delivery: final, or PENDING again from NextAttemptAt on.
type Outcome struct {
	Status         Status
	NextAttemptAt  time.Time // only with PENDING
	Attempts       int       // charged so far, this one included where it was
	Response       *Response // nil keeps the response of an earlier attempt, if there was one
	Reason         Reason
	Error          string
	At             time.Time // when it was decided
	ProcessingTime time.Duration
}

// PastDeadline is how a request ends whose deadline is over before the next attempt has begun: TIMEOUT, or FAILED when
// an earlier attempt was answered.
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
