package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
)

// headerReplay marks a backend's response.
const headerReplay = "X-Openhqm-Replay"

// Reasons why there is no response to replay.
var (
	errBackendFailed  = errors.New("the request failed, and no backend response was kept")
	errBackendTimeout = errors.New("the deadline passed before the backend answered")
	errCancelled      = errors.New("the request was cancelled")
	errUnreplayable   = errors.New("the backend response has a status that cannot be sent")
)

// answered says what kind of request a replayed response answers.
type answered struct {
	// guarded: it is sent from the gateway's own address, where a backend's page must not act as one of the gateway.
	guarded bool

	// resource: the client asks for the result as a resource, so conditions and ranges apply to it. Those of a proxied
	// request were for the backend.
	resource bool
}

// raw returns the captured response of a backend as if it had answered itself: GET /api/v1/response/{id}/raw. Ranges
// and conditions use the backend's ETag and Last-Modified. Where there are none, none are added: a result never
// changes, so its ranges fit together anyway.
func (a *api) raw(c *gin.Context) error {
	return a.whenFinal(c, func(c *gin.Context, record *domain.Record) error {
		return a.replay(c, record, answered{guarded: true, resource: true})
	})
}

// replay answers with the captured response of a final record, or with a problem where there is none. That problem is
// the answer, not an error: it would be the same next time.
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

// unanswered returns why a final record has no response to replay; nil when it has one.
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
		return errUnreplayable // net/http sends only three digits, and 1xx not as a final status
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
	if len(a.access.Load().Keys) > 0 { // a cache must not serve it to another key, whatever the backend's Cache-Control
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
	_, _ = to.Write(response.Body) // fails when the client has left; net/http then closes the connection
}

// replayHeader adds the backend's fields to an answer. Values that are already set come after the backend's values of
// the same field. Exceptions: Location is only the backend's, and the fields that every answer about a request has are
// only ours. Without a Content-Type none is sent: net/http must not guess it.
func replayHeader(to http.Header, record *domain.Record, as answered) {
	response := record.Result.Response
	to.Del("Location")
	for name, values := range response.Header.EndToEnd() {
		if as.guarded && ofOrigin(name) {
			continue
		}
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

// originFields speak for everything at an address, or say which pages may read a response. At the gateway's own address
// that is not for a backend to say.
var originFields = []string{
	"Accept-Ch", "Alt-Svc", "Clear-Site-Data", "Critical-Ch", "Expect-Ct", "Nel", "Origin-Agent-Cluster",
	"Public-Key-Pins", "Public-Key-Pins-Report-Only", "Report-To", "Reporting-Endpoints", "Service-Worker-Allowed",
	"Set-Login", "Strict-Transport-Security", "Timing-Allow-Origin",
}

func ofOrigin(name string) bool {
	return strings.HasPrefix(name, "Access-Control-") || slices.Contains(originFields, name)
}

// hasNoContent reports whether responses with this status have no content (RFC 9110 section 6.4.1).
func hasNoContent(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// unknownLength is a length that the backend did not send.
const unknownLength = -1

// contentLength returns the Content-Length of a response, in bytes. For HEAD it is what the backend sent, which
// describes content that a response to HEAD does not have (RFC 9110 section 8.6); unknownLength when it sent none.
func contentLength(response *domain.Response, method string) int64 {
	length := int64(len(response.Body))
	if method != http.MethodHead || length > 0 {
		return length
	}
	sent, err := strconv.ParseInt(response.Header.Get("Content-Length"), 10, 64)
	if err != nil || sent < 0 {
		return unknownLength
	}
	return sent
}

func setContentLength(header http.Header, length int64) {
	if length == unknownLength {
		header.Del("Content-Length")
		return
	}
	header.Set("Content-Length", strconv.FormatInt(length, 10))
}

// lastModified returns the time of a response for conditions; zero without one. One in an obsolete format is ignored,
// because it would be replayed in another format.
func lastModified(header domain.Header) time.Time {
	value := header.Get("Last-Modified")
	at, err := http.ParseTime(value)
	if err != nil || at.UTC().Format(http.TimeFormat) != value {
		return time.Time{}
	}
	return at
}
