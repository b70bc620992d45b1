package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

// benchBody is a submit of about 300 bytes.
var benchBody = `{"payload":{"order":1,"items":["` + strings.Repeat("x", 200) + `"]},` +
	`"metadata":{"endpoint":"orders","labels":{"team":"a"}}}`

// connection stands for the sending half of a connection, and costs as little as possible.
type connection struct {
	header http.Header
	status int
}

func (c *connection) Header() http.Header               { return c.header }
func (c *connection) WriteHeader(status int)            { c.status = status }
func (c *connection) Write(p []byte) (int, error)       { return len(p), nil }
func (c *connection) SetWriteDeadline(time.Time) error  { return nil }
func (c *connection) SetReadDeadline(_ time.Time) error { return nil }

// noObserver counts nothing.
type noObserver struct{}

func (noObserver) Requested(string, string, int, time.Duration) {}

// benchmarkSubmit measures what a handler does for one submit, without what net/http does around it.
func benchmarkSubmit(b *testing.B, handler http.Handler) {
	b.Helper()
	body := bytes.NewReader(nil)
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://gateway/api/v1/submit", nil)
	require.NoError(b, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "*/*")
	request.Header.Set("User-Agent", "curl/8.5.0")
	request.Body, request.ContentLength = io.NopCloser(body), int64(len(benchBody))
	w := &connection{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset([]byte(benchBody))
		clear(w.header)
		handler.ServeHTTP(w, request)
		if w.status != http.StatusAccepted {
			b.Fatal(w.status)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	opts, _, _ := testOptions(&fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
		return ports.Receipt{ID: testID, SubmittedAt: testNow}, nil
	}})
	opts.Observer, opts.Now = noObserver{}, time.Now
	benchmarkSubmit(b, newAPI(context.Background(), opts).engine())
}

// BenchmarkBareGin is the floor: it decodes the body and answers 202.
func BenchmarkBareGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.POST("/api/v1/submit", func(c *gin.Context) {
		var body struct {
			Payload  json.RawMessage `json:"payload"`
			Metadata map[string]any  `json:"metadata"`
		}
		if err := json.NewDecoder(c.Request.Body).Decode(&body); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusAccepted, gin.H{
			"correlation_id": testID, "status": "PENDING", "submitted_at": time.Now().UTC(),
		})
	})
	benchmarkSubmit(b, e)
}

// BenchmarkParseSubmission is the part of a submit that depends on the document.
func BenchmarkParseSubmission(b *testing.B) {
	document := []byte(benchBody)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseSubmission(document); err != nil {
			b.Fatal(err)
		}
	}
}
