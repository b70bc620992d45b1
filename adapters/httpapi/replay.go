package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
)

// headerReplay marks a response that is a backend's.
const headerReplay = "X-Openhqm-Replay"

// Why there is no response to replay.
var (
	errBackendFailed  = errors.New("the request failed, and no response of the backend is kept")
	errBackendTimeout = errors.New("the deadline passed before the backend answered")
	errCancelled      = errors.New("the request was cancelled")
	errUnreplayable   = errors.New("the status of the backend's response cannot be sent")
)

// answered says what a replayed response answers.
type answered struct {
	// guarded: it is sent from the gateway's own address, where a page of a backend must not act as one of ours.
	guarded bool

	// resource: the client asks for the result as a resource of its own. Conditions and ranges are meant for that then;
	// those of the request itself were the backend's to judge.
	resource bool
}

// raw gives the captured response of a backend, as if the client had asked it: GET /api/v1/response/{id}/raw. Ranges
// and conditions go by the ETag and Last-Modified that the backend gave. One that gave none gets none from us: what is
// replayed is its response, and since a result never changes, ranges of it fit together without.
func (a *api) raw(c *gin.Context) error {
	return a.whenFinal(c, func(c *gin.Context, record *domain.Record) error {
		return a.replay(c, record, answered{guarded: true, resource: true})
	})
}

// replay answers with the captured response of a record that is final, and with a problem where there is none. That
// problem is the answer and no error: asking again would not change it.
func (a *api) replay(c *gin.Context, record *domain.Record, as answered) error {
	return a.load(c, record, record.ResponseSize, func(whole *domain.Record) {
		setRecord(c, whole.ID, whole.Status)
		if err := unanswered(whole); err != nil {
			a.fail(c, err)
			return
		}
		a.respondReplay(c, whole, as)
	})
}

// unanswered says why a record that is final has no response to replay.
func unanswered(record *domain.Record) error {
	result := record.Result
	if result == nil {
		result = &domain.Result{}
	}
	err := errBackendFailed
	switch {
	case record.Status == domain.Cancelled:
		return errCancelled
	case result.Response != nil && (result.Response.StatusCode < http.StatusOK || result.Response.StatusCode > 999):
		return errUnreplayable // net/http sends three digits, and 1xx as no final status
	case result.Response != nil:
		return nil
	case record.Status == domain.TimedOut:
		err = errBackendTimeout
	}
	if result.Error != "" {
		return fmt.Errorf("%w: %s", err, result.Error)
	}
	return err
}

// respondReplay writes the response of a record.
func (a *api) respondReplay(c *gin.Context, record *domain.Record, as answered) {
	response := record.Result.Response
	if len(a.opts.Keys) > 0 { // a cache must not give it to another key, whatever the backend says of caching
		c.Writer.Header().Add("Vary", shownPrefix+"Key")
	}
	a.closeWhenDraining(c)
	to := a.pace(c, len(response.Body))
	length := contentLength(response, c.Request.Method)
	if as.resource && response.StatusCode == http.StatusOK {
		header := c.Writer.Header().Clone()
		replayHeader(header, record, as)
		content := resource{header, lastModified(response.Header), response.Body, length}
		if err := content.serve(to, c.Request); err != nil {
			a.fail(c, err)
		}
		return
	}
	replayHeader(c.Writer.Header(), record, as)
	c.Status(response.StatusCode)
	if hasNoContent(response.StatusCode) {
		c.Writer.WriteHeaderNow()
		return
	}
	setContentLength(c.Writer.Header(), length)
	c.Writer.WriteHeaderNow()
	_, _ = to.Write(response.Body) // fails when the client has left, and net/http closes the connection
}

// replayHeader puts the backend's fields on an answer. What is there already stands after its values of the same field,
// but for Location, which is the backend's alone, and the fields that every answer about a request carries, which are
// ours. Without a Content-Type there is none: net/http is not to guess.
func replayHeader(to http.Header, record *domain.Record, as answered) {
	response := record.Result.Response
	to.Del("Location")
	for name, values := range response.Header.EndToEnd() {
		to[name] = append(values, to[name]...)
	}
	if !response.Header.Has("Content-Type") {
		to["Content-Type"] = nil
	}
	to.Del("Content-Length")
	to.Set(headerReplay, "1")
	to.Set(headerCorrelationID, string(record.ID))
	to.Set(headerStatus, string(record.Status))
	if as.guarded {
		to.Add("Content-Security-Policy", "sandbox")
		to.Set("X-Content-Type-Options", "nosniff")
	}
}

// hasNoContent tells responses that end with their fields (RFC 9110 section 6.4.1).
func hasNoContent(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// unknownLength is that of content of which nobody has said it.
const unknownLength = -1

// contentLength gives the Content-Length of a response in bytes. That of a response to HEAD tells of content that is
// not there, which only another answer to HEAD can say; one that told nothing gets none (RFC 9110 section 8.6).
func contentLength(response *domain.Response, method string) int64 {
	length := int64(len(response.Body))
	if method != http.MethodHead || length > 0 {
		return length
	}
	told, err := strconv.ParseInt(response.Header.Get("Content-Length"), 10, 64)
	if err != nil || told < 0 {
		return unknownLength
	}
	return told
}

func setContentLength(header http.Header, length int64) {
	if length == unknownLength {
		header.Del("Content-Length")
		return
	}
	header.Set("Content-Length", strconv.FormatInt(length, 10))
}

// lastModified gives the time of a response for conditions, zero without one. One in an old form is not used: it would
// be written anew.
func lastModified(header domain.Header) time.Time {
	value := header.Get("Last-Modified")
	at, err := http.ParseTime(value)
	if err != nil || at.UTC().Format(http.TimeFormat) != value {
		return time.Time{}
	}
	return at
}
