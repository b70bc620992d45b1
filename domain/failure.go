package domain

import "fmt"

// FailureKind says how an attempt failed. It decides whether the attempt is repeated.
type FailureKind string

// The kinds of failure. Their text is the outcome label of attempt metrics and log lines.
const (
	FailureUnreachable FailureKind = "unreachable"        // no connection, or TLS failed, before the request was sent
	FailureTimeout     FailureKind = "timeout"            // the attempt's time ran out
	FailureBroken      FailureKind = "broken"             // the connection broke, or the response was cut off or malformed
	FailureTooLarge    FailureKind = "response_too_large" // over the response limit; the next one would be as large
	FailureUnsendable  FailureKind = "unsendable"         // not a valid request; nothing was sent
	FailureInterrupted FailureKind = "interrupted"        // our own shutdown or a lost lease cut the call off
	FailureShortage    FailureKind = "shortage"           // this process had no file descriptor or port; nothing was sent
	FailureRefused     FailureKind = "refused"            // the backend turned the request away unread, again and again
)

// Retryable reports whether another attempt might succeed.
func (k FailureKind) Retryable() bool { return k != FailureTooLarge && k != FailureUnsendable }

// Charged reports whether the attempt counts. One that the backend never began does not, for want of something of our
// own or because it said so.
func (k FailureKind) Charged() bool { return k != FailureShortage && k != FailureRefused }

// Failure is the error of an attempt that got no response. Clients and operators see its text, so Err must hold no
// secret and no address.
type Failure struct {
	Kind    FailureKind
	Err     error
	Address string // host:port of the backend that was called, for the log only; not part of the text
}

// Error returns the kind and the cause.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Kind, f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Invalid is the error of a request that cannot be accepted as it is. The client sees its text.
type Invalid struct {
	Field  string // as the client wrote it, for example "metadata.timeout"
	Reason string // continues the field's name, for example "must not be negative"
}

// Error returns the field and the reason.
func (e *Invalid) Error() string { return e.Field + ": " + e.Reason }
