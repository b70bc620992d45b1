package domain

import (
	"fmt"
	"time"
)

// FailureKind says what kind of trouble an attempt met; it decides whether the attempt is charged and repeated.
type FailureKind string

// The kinds there are. Their text is the outcome label of attempt metrics and log lines.
const (
	FailureUnreachable FailureKind = "unreachable"        // no connection, or TLS failed, before the request was sent
	FailureTimeout     FailureKind = "timeout"            // the attempt's time ran out
	FailureBroken      FailureKind = "broken"             // the connection broke, or the response was cut off or malformed
	FailureTooLarge    FailureKind = "response_too_large" // over the response limit; the next answer would be as large
	FailureUnsendable  FailureKind = "unsendable"         // never a valid request: nothing was sent
	FailureRefused     FailureKind = "refused"            // a breaker or a limit said not now: nothing was sent
	FailureInterrupted FailureKind = "interrupted"        // our own shutdown or a lost lease cut the call off
)

// Charged reports whether an attempt that ended so counts against max_attempts.
func (k FailureKind) Charged() bool { return k != FailureRefused }

// Retryable reports whether another attempt could end better.
func (k FailureKind) Retryable() bool { return k != FailureTooLarge && k != FailureUnsendable }

// Failure is an attempt without a response. Its text is shown to clients and operators: no secrets, and no
// address, which is nobody's business but ours.
type Failure struct {
	Kind    FailureKind
	Err     error
	After   time.Duration // with FailureRefused: how long to stay away, at the least
	Address string        // host:port of the backend that was called, for the log alone: it is no part of the text
}

// Error gives kind and cause.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Kind, f.Err) }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Invalid is a request that cannot be accepted as it is.
type Invalid struct {
	Field  string // as the client wrote it, for instance "metadata.timeout"
	Reason string
}

// Error names field and reason.
func (e *Invalid) Error() string { return e.Field + ": " + e.Reason }
