package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

const statusPath = "/api/v1/status/"

var (
	errNotJSON = errors.New("the body must be JSON: send it with Content-Type: application/json")
	errEncoded = errors.New("the body must come without Content-Encoding")
)

// submit takes a request in: POST /api/v1/submit. A client that prefers to wait gets the result if it is there in time.
func (a *api) submit(c *gin.Context) error {
	c.Header("Vary", preferField)
	receipt, err := a.accept(c)
	if err != nil {
		return err
	}
	a.answerSubmit(c, receipt, a.base, a.respondResult)
	return nil
}

// resultWriter answers with the result of a record that is final. After an error nothing has been written.
type resultWriter func(c *gin.Context, record *domain.Record) error

// answerSubmit answers a request that was accepted: with its result if the client prefers to wait and it is there in
// time, and else with where to ask for it, at a URL that begins with base.
func (a *api) answerSubmit(c *gin.Context, receipt ports.Receipt, base string, write resultWriter) {
	c.Header("Location", base+statusPath+string(receipt.ID))
	preferred := parsePrefer(c.Request.Header[preferField])
	if preferred.applied != "" {
		c.Header("Preference-Applied", preferred.applied)
	}
	if last, answered := a.answeredInTime(c, receipt.ID, preferred.wait, write); !answered {
		a.accepted(c, receipt, last)
	}
}

// accept reads the document of a submit and hands it in. Nothing of it is held when it returns.
func (a *api) accept(c *gin.Context) (receipt ports.Receipt, err error) {
	if err := checkMedia(c.Request.Header); err != nil {
		return receipt, err
	}
	key, err := idempotencyKey(c.Request.Header[idempotencyField])
	if err != nil {
		return receipt, err
	}
	document, err := a.bodies.read(c.Writer, c.Request, a.client(c))
	if err != nil {
		return receipt, err
	}
	defer document.release() // not before it is accepted: until then it is ours to hold
	submission, err := parseSubmission(document.data)
	if err != nil {
		return receipt, err
	}
	submission.Caller = callerOf(c)
	submission.Origin = a.opts.TrustedProxies.origin(c.Request)
	submission.IdempotencyKey = key
	passContext(submission.Header, c.Request.Header)

	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	return a.opts.Submitter.Submit(ctx, submission)
}

// answeredInTime answers with the result of a request that was accepted, if it is final within so much time, and
// reports whether it did, and else how it was last seen; a drain ends the waiting. That the result cannot be given,
// because it cannot be read or there is no room for it, is no error: the request is accepted, and the client is told.
func (a *api) answeredInTime(
	c *gin.Context, id domain.ID, wait time.Duration, write resultWriter,
) (last domain.Status, answered bool) {
	if wait <= 0 {
		return domain.Pending, false
	}
	record, err := a.await(c, id, wait)
	if err != nil {
		return domain.Pending, false
	}
	return record.Status, record.Status.Final() && write(c, &record) == nil
}

// accepted answers as the asynchronous request-reply pattern has it, after where to ask: that there is nothing to give
// yet, and when to ask.
func (a *api) accepted(c *gin.Context, receipt ports.Receipt, last domain.Status) {
	setRecord(c, receipt.ID, last)
	c.Header("Retry-After", "1")
	a.respond(c, http.StatusAccepted, jsonType, receiptDocument(receipt, last))
}

// checkMedia refuses a body that says it is something else than JSON. One that says nothing is taken at its word.
func checkMedia(header http.Header) error {
	for _, encoding := range header["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return errEncoded
		}
	}
	if len(header["Content-Type"]) > 1 { // which of them to believe nobody can say
		return &domain.Invalid{Field: "Content-Type", Reason: reasonTwice}
	}
	if value := header.Get("Content-Type"); value != "" && !envelope.IsJSON(value) {
		return errNotJSON
	}
	return nil
}

// passContext hands on what ties the backend's call to the client's own log and trace, unless the client named fields
// of its own. No other field of the submit travels: it belongs to this hop. A tracestate without the traceparent it
// came with means nothing (W3C Trace Context section 3.3), so the two stay together.
func passContext(to domain.Header, from http.Header) {
	pass := func(name string) {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
	if !to.Has(headerCorrelationID) {
		pass(headerCorrelationID)
	}
	if !to.Has("Traceparent") && !to.Has("Tracestate") {
		pass("Traceparent")
		pass("Tracestate")
	}
}
