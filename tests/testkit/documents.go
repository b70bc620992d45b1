package testkit

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The documents of the HTTP interface, as a client would declare them.

// Receipt answers a submit.
type Receipt struct {
	CorrelationID string    `json:"correlation_id"`
	Status        string    `json:"status"`
	SubmittedAt   time.Time `json:"submitted_at"`
}

// RequireRepeat demands that a receipt is for the same request as the first one. Its status may be a later one.
func (r Receipt) RequireRepeat(tb testing.TB, first Receipt) {
	tb.Helper()
	require.Equal(tb, first.CorrelationID, r.CorrelationID)
	require.Equal(tb, first.SubmittedAt, r.SubmittedAt)
	require.Contains(tb, []string{"PENDING", "PROCESSING", "COMPLETED"}, r.Status)
}

// Status says where a request stands.
type Status struct {
	CorrelationID string     `json:"correlation_id"`
	Status        string     `json:"status"`
	SubmittedAt   time.Time  `json:"submitted_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	Endpoint      string     `json:"endpoint"`
}

// Result is the end of a request.
type Result struct {
	CorrelationID  string          `json:"correlation_id"`
	Status         string          `json:"status"`
	StatusCode     int             `json:"status_code"` // 0 without a response
	Headers        map[string]any  `json:"headers"`     // a string, or a list where a field is repeated
	Result         json.RawMessage `json:"result"`      // exactly as it stood in the document
	ResultEncoding string          `json:"result_encoding"`
	Error          string          `json:"error"`
	Attempts       int             `json:"attempts"`
	SubmittedAt    time.Time       `json:"submitted_at"`
	CompletedAt    time.Time       `json:"completed_at"`

	Document []byte `json:"-"` // all of it, as it was sent
}

// Problem says why something was refused (RFC 9457).
type Problem struct {
	Type          string `json:"type"`
	Title         string `json:"title"`
	Status        int    `json:"status"`
	Detail        string `json:"detail"`
	Code          string `json:"code"`
	CorrelationID string `json:"correlation_id"`
	Field         string `json:"field"`
}
