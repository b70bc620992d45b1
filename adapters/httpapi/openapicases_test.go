package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// The operations, by who may use them.
var (
	clientOperations = []string{
		"POST /api/v1/submit",
		"GET /api/v1/status/{id}",
		"DELETE /api/v1/status/{id}",
		"GET /api/v1/response/{id}",
		"GET /api/v1/response/{id}/raw",
	}
	proxyOperations = []string{
		"GET " + proxyOperation,
		"HEAD " + proxyOperation,
		"PUT " + proxyOperation,
		"POST " + proxyOperation,
		"DELETE " + proxyOperation,
		"OPTIONS " + proxyOperation,
		"PATCH " + proxyOperation,
	}
	deadLetterOperations = []string{
		"GET /api/v1/dead-letters",
		"GET /api/v1/dead-letters/{id}",
		"DELETE /api/v1/dead-letters/{id}",
		"POST /api/v1/dead-letters/{id}/resend",
		"POST /api/v1/dead-letters/resend",
	}
	backupOperation = "POST " + backupPath
)

// backups stands for what makes backups; nil: they succeed.
type backups struct{ err error }

func (b backups) Backup(context.Context) (string, error) { return "/backups/1", b.err }

func withBackups(err error) func(*Options) { return func(o *Options) { o.Backups = backups{err} } }

var errUnforeseen = errors.New("cause")

// provocations returns at least one for every answer of every operation.
func provocations() []provocation {
	return slices.Concat(
		clientSuccesses(), deadLetterSuccesses(), operationAnswers(), documentAnswers(),
		rawAnswers(), proxyAnswers(),
		bodyRefusals(), clientRefusals(), accessRefusals(), failures(),
	)
}

func clientSuccesses() []provocation {
	return []provocation{
		{operation: "POST /api/v1/submit", want: 202},
		{operation: "POST /api/v1/submit", want: 202, name: "preferred", header: []string{"Prefer", "respond-async"}},
		{
			operation: "POST /api/v1/submit", want: 202, name: "begun", header: []string{"Prefer", "wait=7"},
			app: ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
				return domain.Record{ID: testID, Status: domain.Processing}, nil
			}),
		},
		{operation: "POST /api/v1/submit", want: 200, header: []string{"Prefer", "wait=7", "Idempotency-Key", `"k"`}},
		{operation: "GET /api/v1/status/{id}", want: 200},
		{
			operation: "GET /api/v1/status/{id}", want: 200, name: "waiting for its next attempt",
			app: found(domain.Record{ID: testID, Status: domain.Pending, NextAttemptAt: testNow}),
		},
		{operation: "DELETE /api/v1/status/{id}", want: 200},
		{operation: "GET /api/v1/response/{id}", want: 200},
		{
			operation: "GET /api/v1/response/{id}", want: 200, name: "without a response",
			app: found(domain.Record{ID: testID, Status: domain.Cancelled}),
		},
		{operation: "GET /api/v1/response/{id}", want: 202, app: found(pendingRecord), target: responseURL + "?wait=1s"},
	}
}

func deadLetterSuccesses() []provocation {
	return []provocation{
		{
			operation: "GET /api/v1/dead-letters", want: 200,
			target: deadLettersPath + "?endpoint=orders&reason=deadline&limit=7&before=2026-01-02T03:04:05Z",
		},
		{operation: "GET /api/v1/dead-letters/{id}", want: 200},
		{operation: "DELETE /api/v1/dead-letters/{id}", want: 204},
		{operation: "POST /api/v1/dead-letters/{id}/resend", want: 202},
		{operation: "POST /api/v1/dead-letters/resend", want: 202},
	}
}

func operationAnswers() []provocation {
	broken := func(o *Options) {
		o.Probes = map[string]ports.Probe{
			"queue": detailed{
				probeFunc(func(context.Context) error { return errUnforeseen }), map[string]string{"shard 1": "busy"},
			},
		}
	}
	busy := func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		})
	}
	return []provocation{
		{operation: "GET /", want: 200},
		{operation: "GET /", want: 200, name: "in a browser", header: []string{"Accept", "text/html"}},
		{operation: "GET /health", want: 200},
		{operation: "GET /health", want: 503, change: broken},
		{operation: "GET /health/live", want: 200},
		{operation: "GET /health/ready", want: 200},
		{operation: "GET /health/ready", want: 503, before: func(r *rig) { r.server.Drain() }},
		{operation: backupOperation, want: 201, change: withBackups(nil)},
		{operation: backupOperation, want: 404},
		{operation: backupOperation, want: 500, change: withBackups(errUnforeseen)},
		{operation: backupOperation, want: 503, change: withBackups(ports.ErrStorageLow)},
		{operation: "GET /metrics", want: 200},
		{operation: "GET /metrics", want: 503, change: busy},
	}
}

// ended are the ends without a response to replay, by what is answered in its place.
var ended = map[int]domain.Status{410: domain.Cancelled, 502: domain.Failed, 504: domain.TimedOut}

func rawAnswers() (all []provocation) {
	const operation = "GET /api/v1/response/{id}/raw"
	tagged := domain.Response{StatusCode: 200, Header: domain.Header{"Etag": {`"v1"`}}, Body: []byte("content")}
	same := found(domain.Record{ID: testID, Status: domain.Completed, Result: &domain.Result{Response: &tagged}})
	all = []provocation{
		{operation: operation, want: 200, replayed: true, app: same},
		{operation: operation, want: 206, replayed: true, app: same, header: []string{"Range", "bytes=1-2"}},
		{operation: operation, want: 304, replayed: true, app: same, header: []string{"If-None-Match", `"v1"`}},
		{operation: operation, want: 404, replayed: true, target: responseURL + "/raw?wait=1s"},
		{operation: operation, want: 412, app: same, header: []string{"If-Match", `"v2"`}},
		{operation: operation, want: 416, app: same, header: []string{"Range", "bytes=7-"}},
		{operation: operation, want: 202, app: found(pendingRecord)},
		{operation: operation, want: 400, target: responseURL + "/raw?wait=soon"},
	}
	for want, status := range ended {
		app := found(domain.Record{ID: testID, Status: status})
		all = append(all, provocation{operation: operation, want: want, app: app})
	}
	return all
}

func proxyAnswers() (all []provocation) {
	wait := []string{"Prefer", "wait=7"}
	for _, operation := range proxyOperations {
		method, _, _ := strings.Cut(operation, " ")
		all = append(
			all,
			provocation{operation: operation, want: 202, header: []string{
				"X-OpenHQM-Timeout", "90", "X-OpenHQM-Priority", "5", "X-OpenHQM-Delay", "1m",
				"X-OpenHQM-Not-Before", "2026-01-02T03:04:05Z", "X-OpenHQM-Max-Attempts", "3", "X-OpenHQM-Label-Team", "a",
			}},
			provocation{operation: operation, want: 404, replayed: true, header: wait},
			provocation{operation: operation, want: 400, header: []string{"X-OpenHQM-Priority", "10"}},
			provocation{operation: operation, want: 404, name: "no endpoint", target: proxyPath + "/a"},
			provocation{operation: operation, want: 404, name: "unknown", app: failingApp(ports.ErrUnknownEndpoint)},
			provocation{operation: operation, want: 403, app: failingApp(ports.ErrForbidden)},
			provocation{operation: operation, want: 422, app: failingApp(ports.ErrMismatch)},
			provocation{operation: operation, want: 508, header: []string{"Via", "1.1 openhqm-1"}},
			provocation{operation: operation, want: 408, body: stalled},
			provocation{operation: operation, want: 413, body: text(strings.Repeat("x", testBodyMax+1))},
		)
		if method == http.MethodPut || method == http.MethodPost {
			all = append(all, provocation{operation: operation, want: 202, name: "bytes", body: text("\x00\xff")})
		}
		for want, status := range ended {
			app := ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
				return domain.Record{ID: testID, Status: status}, nil
			})
			all = append(all, provocation{operation: operation, want: want, app: app, header: wait})
		}
	}
	return all
}

func documentAnswers() []provocation {
	const operation = "GET " + openAPIPath
	return []provocation{
		{operation: operation, want: 200},
		{operation: operation, want: 206, header: []string{"Range", "bytes=0-9"}},
		{operation: operation, want: 206, name: "parts", header: []string{"Range", "bytes=0-9,20-29"}},
		{operation: operation, want: 304, header: []string{"If-None-Match", openAPITag}},
		{operation: operation, want: 412, header: []string{"If-Match", `"other"`}},
		{operation: operation, want: 416, header: []string{"Range", "bytes=999999-"}},
	}
}

func text(content string) func(*testing.T) io.Reader {
	return func(*testing.T) io.Reader { return strings.NewReader(content) }
}

// stalled is a body that never comes.
func stalled(t *testing.T) io.Reader {
	t.Helper()
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	return reader
}

// bodyRefusals are of the operations that read a document.
func bodyRefusals() (all []provocation) {
	for operation := range exampleBodies {
		all = append(
			all,
			provocation{operation: operation, want: 400, body: text(`{"unknown":1}`)},
			provocation{operation: operation, want: 408, body: stalled},
			provocation{operation: operation, want: 413, body: text(strings.Repeat("x", testBodyMax+1))},
			provocation{operation: operation, want: 415, header: []string{"Content-Encoding", "gzip"}},
		)
	}
	return all
}

func clientRefusals() []provocation {
	tooLate := wellApp()
	tooLate.cancel = func(context.Context, domain.ID) (domain.Record, error) {
		return domain.Record{Status: domain.Processing}, ports.ErrConflict
	}
	unreadable := failingLetters(ports.ErrUnreadable)
	return []provocation{
		{operation: "POST /api/v1/submit", want: 403, app: failingApp(ports.ErrForbidden)},
		{operation: "POST /api/v1/submit", want: 404, app: failingApp(ports.ErrUnknownEndpoint)},
		{operation: "POST /api/v1/submit", want: 422, app: failingApp(ports.ErrMismatch)},
		{operation: "POST /api/v1/submit", want: 508, header: []string{"Via", "1.0 fred, 1.1 openhqm-1"}},
		{operation: "GET /api/v1/status/{id}", want: 404, target: "/api/v1/status/no%20id"},
		{operation: "DELETE /api/v1/status/{id}", want: 409, app: tooLate},
		{operation: "GET /api/v1/response/{id}", want: 400, target: responseURL + "?wait=soon"},
		{
			operation: "GET /api/v1/response/{id}", want: 503, name: "no memory", app: newLibrary().fakes,
			change: func(o *Options) { o.MaxResponseBytes = largeRoom },
			before: func(r *rig) {
				slow := newSlowReader(r.t, r)
				r.t.Cleanup(func() { slow.leave(r.t) })
			},
		},
		{operation: "GET /api/v1/dead-letters", want: 400, target: deadLettersPath + "?limit=0"},
		{operation: "POST /api/v1/dead-letters/{id}/resend", want: 409, change: withDeadLetters(unreadable)},
		{
			operation: "POST /api/v1/dead-letters/{id}/resend", want: 404, name: "unknown endpoint",
			change: withDeadLetters(failingLetters(ports.ErrUnknownEndpoint)),
		},
	}
}

// accessRefusals are 401, 403 and 429.
func accessRefusals() (all []provocation) {
	keys := func(o *Options) { o.Keys = testKeys() }
	limit := func(o *Options) { o.RateLimit = RateLimit{RPS: 1, Burst: 1} }
	useUp := func(r *rig) { r.do("GET", statusURL, "") }
	guess := func(r *rig) {
		for range guesses.Burst {
			r.do("GET", statusURL, "", "X-OpenHQM-Key", "wrong")
		}
	}
	for _, operation := range slices.Concat(clientOperations, proxyOperations) {
		all = append(
			all,
			provocation{operation: operation, want: 401, change: keys},
			provocation{operation: operation, want: 421, host: "evil.example"},
			provocation{operation: operation, want: 429, change: limit, before: useUp},
		)
		if !strings.HasPrefix(operation, "GET /api/") {
			foreign := []string{"Sec-Fetch-Site", "cross-site"}
			all = append(all, provocation{operation: operation, want: 403, name: "a page", header: foreign})
		}
	}
	for _, operation := range append([]string{"GET /metrics", backupOperation}, deadLetterOperations...) {
		all = append(
			all,
			provocation{operation: operation, want: 401, change: keys},
			provocation{operation: operation, want: 421, host: "evil.example"},
			provocation{operation: operation, want: 403, change: keys, header: []string{"X-OpenHQM-Key", "shop"}},
			provocation{
				operation: operation, want: 429, change: keys, before: guess, header: []string{"X-OpenHQM-Key", "wrong"},
			},
		)
	}
	return all
}

// failures are 404, 500 and 503: what the use-cases cannot do.
func failures() (all []provocation) {
	for want, err := range map[int]error{
		404: ports.ErrNotFound, 500: errUnforeseen, 503: ports.ErrUnavailable,
	} {
		for _, operation := range slices.Concat(clientOperations, proxyOperations) {
			if want != 404 || strings.Contains(operation, "{id}") {
				all = append(all, provocation{operation: operation, want: want, app: failingApp(err)})
			}
		}
		for _, operation := range deadLetterOperations {
			if want != 404 || strings.Contains(operation, "{id}") {
				change := withDeadLetters(failingLetters(err))
				all = append(all, provocation{operation: operation, want: want, change: change})
			}
		}
	}
	return all
}
