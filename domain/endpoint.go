package domain

import (
	"net/http"
	"time"
)

// Endpoint is a named backend, as far as deciding needs it. Where it is and how to authenticate there is known only to
// the adapter that calls it.
type Endpoint struct {
	Name    string
	Method  string        // for requests that name none; empty: POST
	Timeout time.Duration // of one attempt
	Retry   RetryPolicy
}

// MethodFor returns the method that a request to this endpoint is sent with.
func (e *Endpoint) MethodFor(requested string) string {
	if requested != "" {
		return requested
	}
	if e.Method != "" {
		return e.Method
	}
	return http.MethodPost
}
