package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
)

// Fields of our own, in the form net/http keeps them; names are compared without case.
const (
	headerCorrelationID = "X-Correlation-Id"
	headerStatus        = "X-Openhqm-Status"
)

const jsonType = "application/json"

const (
	// writePiece is how many bytes a client must take within Options.ReadTimeout.
	writePiece = 64 << 10

	// slowestReader is how many bytes a second a client must take of the whole, besides Options.ReadTimeout: a large
	// answer holds room in memory that others wait for.
	slowestReader = 64 << 10
)

// respond writes a whole answer. A client that stops reading loses its connection, as with nginx's send_timeout: the
// deadline is for each piece, and a large answer may take its time, but not for ever.
func (a *api) respond(c *gin.Context, status int, contentType string, body []byte) {
	header := c.Writer.Header()
	if contentType != "" { // else there is no content
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store") // each answer is true only for its moment
	if a.draining.Err() != nil {
		header.Set("Connection", "close") // let the client find another server before this one stops listening
	}
	c.Status(status)
	c.Writer.WriteHeaderNow()
	connection := http.NewResponseController(c.Writer)
	end := time.Now().Add(a.opts.ReadTimeout + time.Duration(len(body))*time.Second/slowestReader)
	for len(body) > 0 {
		piece := body[:min(len(body), writePiece)]
		body = body[len(piece):]
		deadline := time.Now().Add(a.opts.ReadTimeout)
		if deadline.After(end) {
			deadline = end
		}
		_ = connection.SetWriteDeadline(deadline) // unsupported: no connection to bound
		if _, err := c.Writer.Write(piece); err != nil {
			return // the client has left, and net/http closes the connection
		}
	}
}

// respondRecord writes an answer about a request that there is a record of.
func (a *api) respondRecord(c *gin.Context, status int, record *domain.Record, body []byte) {
	setRecord(c, record.ID, record.Status)
	a.respond(c, status, jsonType, body)
}

// setRecord puts the fields on the answer that every answer about a request carries.
func setRecord(c *gin.Context, id domain.ID, status domain.Status) {
	c.Header(headerCorrelationID, string(id))
	c.Header(headerStatus, string(status))
}
