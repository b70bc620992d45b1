package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// The paths of clientRoutes.
const (
	submitPath   = "/api/v1/submit"
	statusPath   = "/api/v1/status/"
	responsePath = "/api/v1/response/"
)

var (
	errNotJSON = errors.New("the body must be JSON: send it with Content-Type: application/json")
	errEncoded = errors.New("the body must not have a Content-Encoding")
)

// submit accepts a request: POST /api/v1/submit. A client that prefers to wait gets the result if it comes in time.
func (a *api) submit(c *gin.Context) error {
	c.Writer.Header().Add("Vary", preferField)
	receipt, err := a.accept(c)
	if err != nil {
		return err
	}
	a.answerSubmit(c, receipt, a.base, a.respondResult)
	return nil
}

// resultWriter answers with the result of a final record. After an error nothing has been written.
type resultWriter func(c *gin.Context, record *domain.Record) error

// answerSubmit answers an accepted request: with its result if the client prefers to wait and it comes in time,
// otherwise with a 202. Its Location begins with base.
func (a *api) answerSubmit(c *gin.Context, receipt ports.Receipt, base string, write resultWriter) {
	c.Header("Location", base+statusPath+string(receipt.ID))
	preferred := parsePrefer(c.Request.Header[preferField])
	if preferred.applied != "" {
		c.Header("Preference-Applied", preferred.applied)
	}
	if last, answered := a.answeredInTime(c, &receipt, preferred.wait, write); !answered {
		a.accepted(c, receipt, last)
	}
}

// accept reads the document of a submit and submits it.
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
	defer document.release() // only once it is accepted: until then it is in our memory
	submission, err := parseSubmission(document.data)
	if err != nil {
		return receipt, err
	}
	submission.Caller = callerOf(c)
	submission.Origin = a.opts.TrustedProxies.origin(c.Request)
	submission.IdempotencyKey = key
	passContext(submission.Header, c.Request.Header)

	ctx, cancel := lasting(c.Request)
	defer cancel()
	return a.opts.Submitter.Submit(ctx, submission)
}

// answeredInTime answers with the result of an accepted request if it is final within wait, or before a drain begins.
// It returns the last known status, and whether it answered. A result that cannot be read, or has no room in memory, is
// not an error: the request is accepted, and the client must learn that.
func (a *api) answeredInTime(
	c *gin.Context, receipt *ports.Receipt, wait time.Duration, write resultWriter,
) (last domain.Status, answered bool) {
	last = cmp.Or(receipt.Status, domain.Pending)
	if wait <= 0 {
		return last, false
	}
	record, err := a.await(c, receipt.ID, wait)
	if err != nil {
		return last, false
	}
	return record.Status, record.Status.Final() && write(c, &record) == nil
}

// accepted answers 202 as in the asynchronous request-reply pattern; Location is already set.
func (a *api) accepted(c *gin.Context, receipt ports.Receipt, last domain.Status) {
	setRecord(c, receipt.ID, last)
	c.Header("Retry-After", "1")
	a.respond(c, http.StatusAccepted, jsonType, receiptDocument(receipt, last))
}

// checkMedia rejects a body that is declared as something other than JSON. One without Content-Type counts as JSON.
func checkMedia(header http.Header) error {
	for _, encoding := range header["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return errEncoded
		}
	}
	if len(header["Content-Type"]) > 1 { // unclear which one counts
		return &domain.Invalid{Field: "Content-Type", Reason: reasonTwice}
	}
	if value := header.Get("Content-Type"); value != "" && !envelope.IsJSON(value) {
		return errNotJSON
	}
	return nil
}

// passContext copies the fields that connect the backend's call to the client's log and trace, unless the document has
// its own. All other fields of the submit belong to this hop. A tracestate means nothing without its traceparent (W3C
// Trace Context section 3.3), so the two stay together. Via goes on, so that a loop over another gateway ends here.
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
	if hops := slices.Concat(to[domain.HeaderVia], from[domain.HeaderVia]); len(hops) > 0 {
		to[domain.HeaderVia] = hops
	}
}
