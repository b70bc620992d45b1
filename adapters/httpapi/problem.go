package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	problemType = "application/problem+json"

	// statusClientGone is what nginx logs when the client left before its answer. Nobody receives it; it is for metrics.
	statusClientGone = 499

	// troubleRetryAfter is when to come again, in seconds, to a queue that is down or full.
	troubleRetryAfter = "5"

	maxDetail = 512 // bytes
)

var (
	errNoRoute  = errors.New("there is no such resource")
	errNoMethod = errors.New("the resource does not have this method")
	errBusy     = errors.New("too many requests are under way")
)

// problem is an RFC 9457 problem document, but for what the answer it goes into adds.
type problem struct {
	status int
	code   string
	detail string // empty: the error's own text
	field  string
}

// problems maps errors to answers; the first match counts. Errors of the client's own making may speak for themselves.
// The others get a fixed text, because theirs can tell how we are built and where our stores are.
var problems = []struct {
	err error
	problem
}{
	{errNoRoute, problem{status: http.StatusNotFound, code: "NOT_FOUND"}},
	{errNoMethod, problem{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED"}},
	{errSlowBody, problem{status: http.StatusRequestTimeout, code: "REQUEST_TIMEOUT"}},
	{errNotJSON, problem{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE"}},
	{errEncoded, problem{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE"}},
	{errUnauthorized, problem{status: http.StatusUnauthorized, code: "UNAUTHORIZED"}},
	{errCrossOrigin, problem{status: http.StatusForbidden, code: "FORBIDDEN"}},
	{errRateLimited, problem{status: http.StatusTooManyRequests, code: "RATE_LIMITED"}},
	{errBackendFailed, problem{status: http.StatusBadGateway, code: "BACKEND_FAILED"}},
	{errUnreplayable, problem{status: http.StatusBadGateway, code: "BACKEND_FAILED"}},
	{errBackendTimeout, problem{status: http.StatusGatewayTimeout, code: "BACKEND_TIMEOUT"}},
	{errCancelled, problem{status: http.StatusGone, code: "GONE"}},
	{errPrecondition, problem{status: http.StatusPreconditionFailed, code: "PRECONDITION_FAILED"}},
	{errNoSuchRange, problem{status: http.StatusRequestedRangeNotSatisfiable, code: "RANGE_NOT_SATISFIABLE"}},
	{errBusy, problem{status: http.StatusServiceUnavailable, code: "OVERLOADED"}},
	{errNoRoom, problem{
		status: http.StatusServiceUnavailable, code: "OVERLOADED",
		detail: "no memory left for another large body; nothing was accepted",
	}},
	{errNoAnswerRoom, problem{
		status: http.StatusServiceUnavailable, code: "OVERLOADED",
		detail: "no memory left to load another large result; it is kept",
	}},
	{ports.ErrUnknownEndpoint, problem{status: http.StatusNotFound, code: "UNKNOWN_ENDPOINT"}},
	{ports.ErrNotFound, problem{
		status: http.StatusNotFound, code: "NOT_FOUND",
		detail: "there is no such request, or not any more",
	}},
	{ports.ErrForbidden, problem{
		status: http.StatusForbidden, code: "FORBIDDEN",
		detail: "this key may not do that",
	}},
	{ports.ErrConflict, problem{
		status: http.StatusConflict, code: "CONFLICT",
		detail: "a worker has begun the request, or it has ended",
	}},
	{ports.ErrUnreadable, problem{
		status: http.StatusConflict, code: "CONFLICT",
		detail: "the original of the dead letter cannot be read",
	}},
	{ports.ErrMismatch, problem{
		status: http.StatusUnprocessableEntity, code: "IDEMPOTENCY_MISMATCH", field: idempotencyField,
		detail: "the key was used for another request",
	}},
	{ports.ErrFull, problem{
		status: http.StatusServiceUnavailable, code: "QUEUE_FULL",
		detail: "the queue is full; nothing was accepted",
	}},
	{ports.ErrUnavailable, unavailable},
	{ports.ErrClosed, unavailable},
	{context.DeadlineExceeded, unavailable},
	{context.Canceled, unavailable},
}

var unavailable = problem{
	status: http.StatusServiceUnavailable, code: "QUEUE_UNAVAILABLE",
	detail: "the queue or store did not confirm; what was asked may still happen. " +
		"Repeat a submit with the same Idempotency-Key",
}

// internal is for what nobody foresaw.
var internal = problem{
	status: http.StatusInternalServerError, code: "INTERNAL",
	detail: "something went wrong in the gateway",
}

// problemOf finds the answer to an error. Of what is not in the table it gives internal.
func problemOf(err error) problem {
	if invalid, ok := errors.AsType[*domain.Invalid](err); ok {
		detail := invalid.Error()
		return problem{http.StatusBadRequest, "VALIDATION_ERROR", detail, invalid.Field}
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		detail := fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)
		return problem{http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", detail, ""}
	}
	for _, known := range problems {
		if errors.Is(err, known.err) {
			p := known.problem
			if p.detail == "" {
				p.detail = err.Error()
			}
			return p
		}
	}
	return internal
}

// fail answers with the problem that err is, and logs what nobody foresaw.
func (a *api) fail(c *gin.Context, err error) {
	p := problemOf(err)
	if p.status == http.StatusInternalServerError {
		a.logInternal(c, err)
	}
	// The context alone proves nothing: net/http ends it also when a body did not come in time.
	if c.Request.Context().Err() != nil && errors.Is(err, context.Canceled) {
		c.Status(statusClientGone)
		return
	}
	switch p.status {
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", troubleRetryAfter)
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", challenge)
	}
	a.respond(c, p.status, problemType, p.document(c.Writer.Header().Get(headerCorrelationID)))
}

// logInternal is the only trace of an inner text: clients do not get it.
func (a *api) logInternal(c *gin.Context, err error) {
	a.opts.Logger.ErrorContext(c.Request.Context(), "handle request",
		"error", err, "method", knownMethod(c.Request.Method), "route", a.route(c),
		"correlation_id", c.Writer.Header().Get(headerCorrelationID))
}

// document gives the problem as JSON. Its type is about:blank, and so its title the status phrase (RFC 9457 section
// 4.2.1): the code tells problems apart.
func (p *problem) document(correlationID string) []byte {
	o := newDocument(smallDocument)
	o.Text("type", "about:blank")
	o.Text("title", http.StatusText(p.status))
	o.Int("status", int64(p.status))
	o.Text("detail", p.detail[:min(len(p.detail), maxDetail)])
	o.Text("code", p.code)
	if correlationID != "" {
		o.Text("correlation_id", correlationID)
	}
	if p.field != "" {
		o.Text("field", p.field)
	}
	return o.Close()
}
