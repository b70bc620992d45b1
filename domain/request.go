package domain

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"
)

// Request is what a client submitted. It does not change from acceptance to the final result.
type Request struct {
	ID       ID
	Endpoint string
	Method   string // empty: the endpoint's, else POST
	Path     string // percent-encoded, appended to the endpoint's URL unchanged; empty or begins with "/"; see EmptyQuery
	Query    string // raw, without "?"
	Header   Header
	Body     []byte // nil: without a body, which differs from an empty one

	Owner    string // name of the API key that sent it; empty without keys
	Priority int    // 0 to 9
	Labels   map[string]string

	SubmittedAt time.Time
	NotBefore   time.Time // no attempt begins earlier; zero: due at once
	Deadline    time.Time // no attempt begins or continues after it
	MaxAttempts int       // 0: the endpoint's retry policy

	Idempotency *Idempotency // nil: the client sent no key
	ResentFrom  ID           // the dead letter that it was resent from; empty: it came from a client
}

// Idempotency identifies repeats of a submit, which get the same request. Keys are scoped to the request's Owner.
type Idempotency struct {
	Key         string
	Fingerprint [sha256.Size]byte // Request.Fingerprint
	ExpiresAt   time.Time
}

// Size returns the number of bytes that memory limits count for the request: body, path, query and header.
func (r *Request) Size() int64 {
	return int64(len(r.Body)+len(r.Path)+len(r.Query)) + r.Header.size()
}

// Fingerprint returns a hash of method, endpoint, path, query and body. Two requests of one id or one idempotency key
// with different fingerprints are not the same request sent again. Each part is preceded by its length, so that no two
// requests hash the same bytes.
func (r *Request) Fingerprint() [sha256.Size]byte {
	body := sha256.Sum256(r.Body)
	hash := sha256.New()
	for _, part := range []string{r.Method, r.Endpoint, r.Path, r.Query, string(body[:])} {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(part))) // a hash never fails
		_, _ = hash.Write([]byte(part))
	}
	return [sha256.Size]byte(hash.Sum(nil))
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
