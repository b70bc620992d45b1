package envelope

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Reader reads messages that other programs may have written. It does what Decode leaves to its caller. It is safe for
// concurrent use.
type Reader struct {
	DefaultEndpoint string        // for messages that name no endpoint; empty: they are refused
	MaxAge          time.Duration // the longest time from submission to deadline
	MaxSize         int           // of a message, in bytes
}

var (
	errEndpoint   = errors.New("the message names an endpoint that cannot exist: a name is 1 to 64 of A-Z a-z 0-9 . _ -")
	errNoEndpoint = errors.New("the message names no endpoint, and no default endpoint is configured")
	errBodyRef    = &domain.Invalid{Field: keyBodyRef, Reason: "cannot be used: the body must be in the message"}

	errNoID      = errors.New("the result names no request")
	errResultURL = errors.New("result_url cannot be used: the body must be in the result")
)

// endpointName matches the names that the configuration allows. No worker can have an endpoint with another name, but
// it would get a queue of its own in the store and a label in metrics.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Read reads a message that the broker received at arrived. The request gets the id nameless if the message has no
// valid one. Its deadline is within MaxAge of its submission, and a submission in the future or more than MaxAge ago
// counts as arrived. With an error the request still has an id and times. Request.Body may share memory with data.
func (r Reader) Read(data []byte, arrived time.Time, nameless domain.ID) (Message, error) {
	d, err := decode(data, arrived, r.MaxSize)
	if err != nil {
		return Message{Request: domain.Request{
			ID: nameless, SubmittedAt: arrived, Deadline: arrived.Add(r.MaxAge),
		}}, err
	}
	m := d.Message
	req := &m.Request
	if req.ID == "" {
		req.ID = nameless
	}
	if req.Endpoint == "" {
		req.Endpoint = r.DefaultEndpoint
	}
	r.boundTimes(req, arrived)
	switch {
	case req.Endpoint != "" && !endpointName.MatchString(req.Endpoint):
		req.Endpoint = ""
		return m, errEndpoint
	case d.bodyRef != "":
		return m, errBodyRef
	case req.Endpoint == "":
		return m, errNoEndpoint
	}
	return m, nil
}

func (r Reader) boundTimes(req *domain.Request, arrived time.Time) {
	var lifetime time.Duration
	if !req.Deadline.IsZero() {
		lifetime = req.Deadline.Sub(req.SubmittedAt)
	}
	if lifetime <= 0 || lifetime > r.MaxAge {
		lifetime = r.MaxAge
	}
	if req.SubmittedAt.After(arrived) || arrived.Sub(req.SubmittedAt) > r.MaxAge {
		req.SubmittedAt = arrived
	}
	req.Deadline = req.SubmittedAt.Add(lifetime)
}

// ReadResult reads a result of at most limit bytes that another program may have written. It does what DecodeResult
// leaves to its caller: it refuses a result that names no request or has its body elsewhere. A FAILED or TIMEOUT gets
// the reason "rejected" or "deadline", because a result carries none and its sender has decided against a retry.
func ReadResult(data []byte, arrived time.Time, limit int) (Result, error) {
	r, err := DecodeResult(data, arrived, limit)
	switch {
	case err != nil:
	case r.ID == "":
		err = errNoID
	case r.URL != "":
		err = errResultURL
	}
	if err != nil {
		return Result{}, fmt.Errorf("result: %w", err)
	}
	r.Result.Reason = reasonOf(r.Status)
	return r, nil
}

func reasonOf(status domain.Status) domain.Reason {
	switch status {
	case domain.Failed:
		return domain.ReasonRejected
	case domain.TimedOut:
		return domain.ReasonDeadline
	default:
		return ""
	}
}
