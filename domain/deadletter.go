package domain

import "time"

// DeadLetter is a request that ended FAILED or TIMEOUT, kept so that an operator can read it and send it again.
type DeadLetter struct {
	ID         ID
	Endpoint   string
	ResentFrom ID // the dead letter that the request was resent from; empty: it came from a client

	Status      Status // as it ended
	Reason      Reason
	Error       string // for people, without secrets
	Attempts    int    // charged
	StatusCode  int    // of the last response; 0 when there was none
	SubmittedAt time.Time
	FailedAt    time.Time // when it became a dead letter, in whole milliseconds

	RequestSize int64    // Request.Size of the original
	Request     *Request // the original; nil where a read leaves it out, and when it cannot be read
}

// Resend returns a new request made from the original. It is due at once, has no attempts charged, and may live as long
// as the original could, but at most maxAge. It has no idempotency key, because it repeats no submit. The dead letter
// must hold its original, which shares header and body with the new request.
func (d *DeadLetter) Resend(id ID, now time.Time, maxAge time.Duration) Request {
	r := *d.Request
	lifetime := r.Deadline.Sub(r.SubmittedAt)
	if lifetime <= 0 || lifetime > maxAge {
		lifetime = maxAge
	}
	r.ID, r.ResentFrom = id, d.ID
	r.SubmittedAt, r.Deadline = now, now.Add(lifetime)
	r.NotBefore, r.Idempotency = time.Time{}, nil
	return r
}
