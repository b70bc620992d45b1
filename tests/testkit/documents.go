package testkit

import (
	"encoding/json"
	"time"
)

// The documents of the HTTP interface, as a client would declare them.

// Receipt answers a submit.
type Receipt struct {
	CorrelationID string    `json:"correlation_id"`
	Status        string    `json:"status"`
	SubmittedAt   time.Time `json:"submitted_at"`
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
