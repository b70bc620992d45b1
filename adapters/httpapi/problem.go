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

	// statusClientGone is what nginx logs when a client leaves before its answer. It is never sent, only counted.
	statusClientGone = 499

	// busyRetryAfter is the Retry-After of a 503, in seconds.
	busyRetryAfter = "5"

	maxDetail = 512 // bytes
)

var (
	errNoRoute  = errors.New("no such resource")
	errNoMethod = errors.New("the resource does not support this method")
	errNoPlace  = errors.New("no place for the connection")
	errBusy     = errors.New("too many HTTP/2 requests in progress")
)

// problem is an RFC 9457 problem document, without the members that depend on the request.
type problem struct {
	status int
	code   string
	detail string // empty: the error's text
	field  string
}

// problems maps errors to answers; the first match counts. An error that the client caused is shown with its own text.
// The others have a fixed text, because their own could reveal internals such as the addresses of stores.
var problems = []struct {
	err error
	problem
}{
	{errNoRoute, problem{status: http.StatusNotFound, code: "NOT_FOUND"}},
	{errNoBackups, problem{status: http.StatusNotFound, code: "NOT_FOUND"}},
	{errNoMethod, problem{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED"}},
	{errSlowBody, problem{status: http.StatusRequestTimeout, code: "REQUEST_TIMEOUT"}},
	{errNotJSON, problem{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE"}},
	{errEncoded, problem{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE"}},
	{errUnauthorized, problem{status: http.StatusUnauthorized, code: "UNAUTHORIZED"}},
	{errElsewhere, problem{status: http.StatusForbidden, code: "FORBIDDEN"}},
	{errMisdirected, problem{status: http.StatusMisdirectedRequest, code: "MISDIRECTED"}},
	{errCrossOrigin, problem{status: http.StatusForbidden, code: "FORBIDDEN"}},
	{errRateLimited, problem{status: http.StatusTooManyRequests, code: "RATE_LIMITED"}},
	{errBackendFailed, problem{status: http.StatusBadGateway, code: "BACKEND_FAILED"}},
	{errUnreplayable, problem{status: http.StatusBadGateway, code: "BACKEND_FAILED"}},
	{errBackendTimeout, problem{status: http.StatusGatewayTimeout, code: "BACKEND_TIMEOUT"}},
	{errCancelled, problem{status: http.StatusGone, code: "GONE"}},
	{errPrecondition, problem{status: http.StatusPreconditionFailed, code: "PRECONDITION_FAILED"}},
	{errNoSuchRange, problem{status: http.StatusRequestedRangeNotSatisfiable, code: "RANGE_NOT_SATISFIABLE"}},
	{errLoop, problem{status: http.StatusLoopDetected, code: "LOOP"}},
	{errBusy, problem{status: http.StatusServiceUnavailable, code: "OVERLOADED"}},
	{errNoPlace, problem{
		status: http.StatusServiceUnavailable, code: "OVERLOADED",
		detail: "all connections are in use; nothing was accepted",
	}},
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
		detail: "no such request, or it has expired",
	}},
	{ports.ErrForbidden, problem{
		status: http.StatusForbidden, code: "FORBIDDEN",
		detail: "this API key may not do that",
	}},
	{ports.ErrConflict, problem{
		status: http.StatusConflict, code: "CONFLICT",
		detail: "a worker has begun the request, or it is final",
	}},
	{ports.ErrUnreadable, problem{
		status: http.StatusConflict, code: "CONFLICT",
		detail: "the original of the dead letter cannot be read",
	}},
	{ports.ErrMismatch, problem{
		status: http.StatusUnprocessableEntity, code: "IDEMPOTENCY_MISMATCH", field: idempotencyField,
		detail: "this Idempotency-Key was used for another request",
	}},
	{ports.ErrFull, problem{
		status: http.StatusServiceUnavailable, code: "QUEUE_FULL",
		detail: "the queue is full; nothing was accepted",
	}},
	{ports.ErrStorageLow, problem{
		status: http.StatusServiceUnavailable, code: "STORAGE_LOW",
		detail: "the disk of the queue has too little free space; nothing was accepted",
	}},
	{ports.ErrUnavailable, unavailable},
	{ports.ErrClosed, unavailable},
	{context.DeadlineExceeded, unavailable},
	{context.Canceled, unavailable},
}

var unavailable = problem{
	status: http.StatusServiceUnavailable, code: "QUEUE_UNAVAILABLE",
	detail: "the queue or store did not confirm; the operation may still happen. " +
		"Repeat a submit with the same Idempotency-Key",
}

// internal is for unexpected errors.
var internal = problem{
	status: http.StatusInternalServerError, code: "INTERNAL",
	detail: "internal error; the log of the gateway has its cause",
}

// problemOf returns the answer to an error; internal when the table does not have it.
func problemOf(err error) problem {
	if invalid, ok := errors.AsType[*domain.Invalid](err); ok {
		detail := invalid.Error()
		return problem{http.StatusBadRequest, "VALIDATION_ERROR", detail, invalid.Field}
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		detail := fmt.Sprintf("the body is larger than %d bytes (server.max_body_size)", tooLarge.Limit)
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

// fail answers with the problem for err, and logs unexpected errors.
func (a *api) fail(c *gin.Context, err error) {
	p := problemOf(err)
	if p.status == http.StatusInternalServerError {
		a.logInternal(c, err)
	}
	a.logRefusal(c, &p)
	// The context alone proves nothing: net/http also ends it when a body did not arrive in time.
	if departed(c.Request) && errors.Is(err, context.Canceled) {
		c.Status(statusClientGone)
		return
	}
	switch p.status {
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", busyRetryAfter)
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", challenge)
	}
	a.respond(c, p.status, problemType, p.document(c.Writer.Header().Get(headerCorrelationID)))
}

// logInternal logs the text of an internal error, which clients do not see.
func (a *api) logInternal(c *gin.Context, err error) {
	a.opts.Logger.ErrorContext(c.Request.Context(), "request failed with an internal error",
		"error", err, "method", knownMethod(c.Request.Method), "route", a.route(c),
		"correlation_id", c.Writer.Header().Get(headerCorrelationID))
}

// document returns the problem as JSON. Its type is about:blank, so its title is the status phrase (RFC 9457 section
// 4.2.1). Clients distinguish problems by code.
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
