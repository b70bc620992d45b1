package envelope

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Reader reads messages that anybody may have written, and sees to what Decode leaves to its caller.
type Reader struct {
	DefaultEndpoint string        // for messages that name none; empty: they cannot be read
	MaxAge          time.Duration // the longest deadline, from submission
	MaxSize         int           // of a message, in bytes
}

var (
	errEndpoint   = errors.New("the message names an endpoint that there cannot be: not 1 to 64 of A-Z a-z 0-9 . _ -")
	errNoEndpoint = errors.New("the message names no endpoint, and there is no default one")
	errBodyRef    = &domain.Invalid{Field: keyBodyRef, Reason: "cannot be used: the body must be in the message"}

	errNoID      = errors.New("the result names no request")
	errResultURL = errors.New("result_url names nothing that is fetched")
)

// endpointName is what the configuration lets an endpoint be named. Any other would have a queue of its own in a store,
// and a label in metrics, although no worker can have that endpoint.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Read reads a message that arrived then; nameless is its id if it has none that is valid. Its deadline is within
// MaxAge of its submission, and a time of submission that cannot be is replaced. With an error the request still has
// an id and times. Request.Body may be a part of data.
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

// ReadResult reads a result of at most limit bytes that anybody may have written, and sees to what DecodeResult leaves
// to its caller: it names a request and has its body with it. It has a reason where it needs one, which no message
// says: those who wrote it have decided that no retry mends it.
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
