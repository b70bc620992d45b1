package domain

import (
	"net/http"
	"time"
)

// Endpoint is what decisions need to know of a named backend. Only the adapter that calls it knows where it is and how
// to authenticate.
type Endpoint struct {
	Name    string
	Method  string        // for requests without a method; empty: POST
	Timeout time.Duration // of one attempt
	Retry   RetryPolicy
}

// MethodFor returns the method to send a request with: the requested one, or else the endpoint's, or else POST.
func (e *Endpoint) MethodFor(requested string) string {
	if requested != "" {
		return requested
	}
	if e.Method != "" {
		return e.Method
	}
	return http.MethodPost
}
