package envelope

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
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

	errNoRequest = errors.New("the message is no request: it has neither payload nor body, " +
		"and none of metadata.endpoint, method, path and query")
	errNoBody = errors.New("the message has neither payload nor body, only members that are unknown")

	errNoID      = errors.New("the result names no request")
	errResultURL = errors.New("result_url cannot be used: the body must be in the result")
)

// endpointName matches the names that the configuration allows. No worker can have an endpoint with another name, but
// it would get a queue of its own in the store and a label in metrics.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Read reads a message that the broker received at arrived. The request gets the id nameless if the message has no
// valid one. Its deadline is within MaxAge of its submission, and a submission in the future counts as arrived. One in
// the past counts, however long ago. Request.Body may share memory with data.
//
// A document that is another one than a message of ours is an error: it says neither what to send nor where, or it has
// unknown members in place of a body. With any error the request still has an id, that of the message if it can be
// read, and times.
func (r Reader) Read(data []byte, arrived time.Time, nameless domain.ID) (Message, error) {
	d, err := decode(data, arrived, r.MaxSize)
	if err != nil {
		return Message{Request: domain.Request{
			ID: cmp.Or(identify(data), nameless), SubmittedAt: arrived, Deadline: arrived.Add(r.MaxAge),
		}}, err
	}
	strange := d.foreign()
	m := d.Message
	req := &m.Request
	if req.ID == "" {
		req.ID = nameless
	}
	if req.Endpoint == "" {
		req.Endpoint = r.DefaultEndpoint
	}
	r.boundTimes(req, arrived)
	d.Request = *req
	d.setDelay()
	req.NotBefore = d.Request.NotBefore
	switch {
	case strange != nil:
		req.Endpoint = ""
		return m, strange
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

// foreign returns why a document is not a message of ours. What has members in place of a body that are unknown would
// otherwise be sent without one: an event of another system, or a payload whose name is misspelt.
func (d *document) foreign() error {
	switch {
	case d.hasBody():
		return nil
	case !d.targeted():
		return naming(errNoRequest, d.Ignored)
	case mayHaveBody(d.Request.Method) && slices.ContainsFunc(d.Ignored, topLevel):
		return naming(errNoBody, d.Ignored)
	default:
		return nil
	}
}

// topLevel reports whether a member that was ignored stands beside payload. Those in metadata are told and do no harm.
func topLevel(name string) bool { return name != keyID && !strings.HasPrefix(name, metadataPrefix) }

// mayHaveBody reports whether a request of a method usually has a body (RFC 9110 section 9.3). Without a method it is
// the endpoint's, which is usually POST.
func mayHaveBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return false
	default:
		return true
	}
}

// naming adds the names of ignored members to an error.
func naming(err error, ignored []string) error {
	if len(ignored) == 0 {
		return err
	}
	return fmt.Errorf("%w (it has %q)", err, ignored)
}

func (r Reader) boundTimes(req *domain.Request, arrived time.Time) {
	var lifetime time.Duration
	if !req.Deadline.IsZero() {
		lifetime = req.Deadline.Sub(req.SubmittedAt)
	}
	if lifetime <= 0 || lifetime > r.MaxAge {
		lifetime = r.MaxAge
	}
	if req.SubmittedAt.After(arrived) {
		req.SubmittedAt = arrived
	}
	req.Deadline = req.SubmittedAt.Add(lifetime)
}

// ReadResult reads a result of at most limit bytes that another program may have written. It does what DecodeResult
// leaves to its caller: it refuses a result that names no request or has its body elsewhere. A FAILED or TIMEOUT gets
// the reason "rejected" or "deadline", because a result carries none and its sender has decided against a retry.
//
// With an error only the ID may be set: of the request that waits for this result, which nobody will send again. It is
// not set where the result says that the request is not final yet.
func ReadResult(data []byte, arrived time.Time, limit int) (Result, error) {
	d, err := decodeResult(data, arrived, limit)
	r := d.Result
	switch {
	case err != nil:
	case r.ID == "":
		err = errNoID
	case r.URL != "":
		err = errResultURL
	}
	if err != nil {
		err = fmt.Errorf("result: %w", err)
		if r.Status == domain.Pending || r.Status == domain.Processing {
			return Result{}, err
		}
		return Result{ID: identify(data)}, err
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
