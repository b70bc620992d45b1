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

	RequestSize int64    // Request.Size of the original, or the size of the message
	Request     *Request // the original; nil where a read leaves it out, and when it cannot be read
	Original    Original // a message that was not accepted, as it came; empty where a read leaves it out
}

// Original is a message of another program, byte for byte. It has a value or fields, or neither: some brokers carry
// messages with no value at all.
type Original struct {
	Value  []byte
	Fields []Field // of an entry of a stream that lacks the field for a message, in their order
}

// Field is one field of a stream's entry. Name and value are bytes: nobody has checked that they are text.
type Field struct{ Name, Value string }

// Size returns the number of bytes in it.
func (o *Original) Size() int64 {
	size := int64(len(o.Value))
	for _, field := range o.Fields {
		size += int64(len(field.Name) + len(field.Value))
	}
	return size
}

// Empty reports whether there is neither a value nor a field.
func (o *Original) Empty() bool { return len(o.Value) == 0 && len(o.Fields) == 0 }

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
