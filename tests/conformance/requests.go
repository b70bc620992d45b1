package conformance

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// now is the time in the precision that users see, which every backend keeps.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// newRequest makes a request that is due at once, changed by change, if any.
func newRequest(change ...func(*domain.Request)) domain.Request {
	r := domain.Request{
		ID:          domain.ID(rand.Text()),
		Endpoint:    "orders",
		Header:      domain.Header{},
		Body:        []byte(`{"n":1}`),
		SubmittedAt: now(),
		Deadline:    now().Add(time.Hour),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

// newRequests makes many.
func newRequests(n int, change ...func(*domain.Request)) []domain.Request {
	reqs := make([]domain.Request, n)
	for i := range reqs {
		reqs[i] = newRequest(change...)
	}
	return reqs
}

func to(endpoint string) func(*domain.Request) {
	return func(r *domain.Request) { r.Endpoint = endpoint }
}

func withPriority(p int) func(*domain.Request) {
	return func(r *domain.Request) { r.Priority = p }
}

func notBefore(t time.Time) func(*domain.Request) {
	return func(r *domain.Request) { r.NotBefore = t }
}

func withDeadline(t time.Time) func(*domain.Request) {
	return func(r *domain.Request) { r.Deadline = t }
}

func withBody(body []byte) func(*domain.Request) {
	return func(r *domain.Request) { r.Body = body }
}

// withKey returns the request an idempotency key, and a fingerprint that begins with variant.
func withKey(key string, variant byte) func(*domain.Request) {
	return func(r *domain.Request) {
		r.Idempotency = &domain.Idempotency{
			Key: key, Fingerprint: [32]byte{variant, 31: 1}, ExpiresAt: r.SubmittedAt.Add(time.Hour),
		}
	}
}

func newResponse(status int, body string) *domain.Response {
	return &domain.Response{
		StatusCode: status,
		Header:     domain.Header{"Content-Type": {"text/plain"}},
		Body:       []byte(body),
	}
}

// completed is the outcome of an attempt that went well.
func completed(d ports.Delivery) domain.Outcome {
	return domain.Outcome{
		Status: domain.Completed, Attempts: d.Attempts + 1, Response: newResponse(http.StatusOK, "done"), At: now(),
	}
}

// failed is the outcome of a last attempt that was not answered.
func failed(d ports.Delivery) domain.Outcome {
	return domain.Outcome{
		Status: domain.Failed, Attempts: d.Attempts + 1, Reason: domain.ReasonAttempts, Error: "no answer", At: now(),
	}
}

// again is the outcome of a charged attempt that was not answered and is to be repeated.
func again(d ports.Delivery, at time.Time) domain.Outcome {
	return domain.Outcome{
		Status: domain.Pending, NextAttemptAt: at, Attempts: d.Attempts + 1, Error: "no answer", At: now(),
	}
}

// released is the outcome of a delivery that nothing was done with.
func released(d ports.Delivery, at time.Time) domain.Outcome {
	return domain.Outcome{Status: domain.Pending, NextAttemptAt: at, Attempts: d.Attempts, At: now()}
}

func finishOf(d ports.Delivery, out domain.Outcome) ports.Finish {
	return ports.Finish{ID: d.Request.ID, Token: d.Token, Outcome: out}
}

func ids(deliveries []ports.Delivery) []domain.ID {
	out := make([]domain.ID, len(deliveries))
	for i := range deliveries {
		out[i] = deliveries[i].Request.ID
	}
	return out
}

func requestIDs(reqs []domain.Request) []domain.ID {
	out := make([]domain.ID, len(reqs))
	for i := range reqs {
		out[i] = reqs[i].ID
	}
	return out
}
