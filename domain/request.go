package domain

import (
	"net/http"
	"time"
)

// Request is what a client asked for. It does not change from acceptance to the final result.
type Request struct {
	ID       ID
	Endpoint string
	Method   string // empty: the endpoint's, else POST
	Path     string // escaped, appended to the endpoint's URL as it stands; empty or beginning with "/"
	Query    string // raw, without "?"
	Header   Header
	Body     []byte // nil: no body was given, which is not the same as an empty one

	Owner    string // name of the API key that sent it; empty without keys
	Priority int    // 0 to 9
	Labels   map[string]string

	SubmittedAt time.Time
	NotBefore   time.Time // zero: at once
	Deadline    time.Time // no attempt begins or goes on after it
	MaxAttempts int       // 0: the endpoint's retry policy

	Idempotency *Idempotency // nil: the client gave no key
	ResentFrom  ID           // the dead letter that it was made from; empty: it came from a client
}

// Idempotency makes a repeated submit the same request. Keys are scoped to the request's Owner.
type Idempotency struct {
	Key         string
	Fingerprint [32]byte // of method, endpoint, path, query and body
	ExpiresAt   time.Time
}

// Size is the number of bytes that the request occupies in memory while it is worked on: body and fields.
func (r *Request) Size() int64 {
	return int64(len(r.Body)+len(r.Path)+len(r.Query)) + r.Header.size()
}

// Idempotent reports whether a method may be repeated without harm (RFC 9110 section 9.2.2).
func Idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	default:
		return false
	}
}
