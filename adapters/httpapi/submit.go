package httpapi

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const statusPath = "/api/v1/status/"

var (
	errNotJSON = errors.New("the body must be JSON: send it with Content-Type: application/json")
	errEncoded = errors.New("the body must come without Content-Encoding")
)

// submit takes a request in: POST /api/v1/submit.
func (a *api) submit(c *gin.Context) error {
	if err := checkMedia(c.Request.Header); err != nil {
		return err
	}
	key, err := idempotencyKey(c.Request.Header[idempotencyField])
	if err != nil {
		return err
	}
	document, err := a.bodies.read(c.Writer, c.Request)
	if err != nil {
		return err
	}
	defer document.release() // not before it is accepted: until then it is ours to hold
	submission, err := parseSubmission(document.data)
	if err != nil {
		return err
	}
	submission.Caller = callerOf(c)
	submission.IdempotencyKey = key
	passContext(submission.Header, c.Request.Header)

	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	receipt, err := a.opts.Submitter.Submit(ctx, submission)
	if err != nil {
		return err
	}
	a.accepted(c, receipt)
	return nil
}

// accepted answers as the asynchronous request-reply pattern has it: where to ask, and when.
func (a *api) accepted(c *gin.Context, receipt ports.Receipt) {
	setRecord(c, receipt.ID, domain.Pending)
	c.Header("Location", a.base+statusPath+string(receipt.ID))
	c.Header("Retry-After", "1")
	a.respond(c, http.StatusAccepted, jsonType, receiptDocument(receipt))
}

// checkMedia refuses a body that says it is something else than JSON. One that says nothing is taken at its word.
func checkMedia(header http.Header) error {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errEncoded
	}
	if value := header.Get("Content-Type"); value != "" && !isJSON(value) {
		return errNotJSON
	}
	return nil
}

// isJSON reports whether a Content-Type is application/json or has the suffix +json (RFC 6839 section 3.1).
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == jsonType || strings.HasSuffix(media, "+json"))
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
