package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
)

// Fields of our own, in the form of net/http.
const (
	headerCorrelationID = "X-Correlation-Id"
	headerStatus        = "X-Openhqm-Status"
)

const jsonType = "application/json"

const (
	// writePiece is how many bytes a client must read within Options.ReadTimeout.
	writePiece = 64 << 10

	// slowestReader is how many bytes a second a client must read of the whole answer, after Options.ReadTimeout: a large
	// answer holds memory that other clients wait for.
	slowestReader = 64 << 10
)

// respond writes a whole answer. A client that stops reading loses its connection, as with nginx's send_timeout: there
// is a deadline for each piece, and a longer one for all.
func (a *api) respond(c *gin.Context, status int, contentType string, body []byte) {
	header := c.Writer.Header()
	if contentType != "" { // else there is no content
		header.Set("Content-Type", contentType)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store") // every answer can change
	a.closeWhenDraining(c)
	c.Status(status)
	c.Writer.WriteHeaderNow()
	_, _ = a.pace(c, len(body)).Write(body) // fails when the client has left; net/http then closes the connection
}

// closeWhenDraining makes the client connect to another server before this one stops listening.
func (a *api) closeWhenDraining(c *gin.Context) {
	if a.draining.Err() != nil {
		c.Header("Connection", "close")
	}
}

// paced writes content that a client must read at a minimum rate.
type paced struct {
	gin.ResponseWriter

	timeout time.Duration // for a piece
	end     time.Time     // of all
}

// pace bounds how long a client may take to read so many bytes.
func (a *api) pace(c *gin.Context, content int) paced {
	slowest := time.Duration(content) * time.Second / slowestReader
	return paced{c.Writer, a.opts.ReadTimeout, time.Now().Add(a.opts.ReadTimeout + slowest)}
}

func (p paced) Write(content []byte) (written int, err error) {
	connection := http.NewResponseController(p.ResponseWriter)
	for len(content) > 0 && err == nil {
		piece := content[:min(len(content), writePiece)]
		content = content[len(piece):]
		deadline := time.Now().Add(p.timeout)
		if deadline.After(p.end) {
			deadline = p.end
		}
		_ = connection.SetWriteDeadline(deadline) // fails only where there is no connection
		var n int
		n, err = p.ResponseWriter.Write(piece)
		written += n
	}
	return written, err
}

// respondRecord writes an answer about a record.
func (a *api) respondRecord(c *gin.Context, status int, record *domain.Record, body []byte) {
	setRecord(c, record.ID, record.Status)
	a.respond(c, status, jsonType, body)
}

// setRecord sets the fields that every answer about a request has.
func setRecord(c *gin.Context, id domain.ID, status domain.Status) {
	c.Header(headerCorrelationID, string(id))
	c.Header(headerStatus, string(status))
}
