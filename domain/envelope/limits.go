package envelope

// Limits of what Decode takes and, because it must be decoded again, of what may be submitted. Lengths are bytes.
const (
	MaxEndpoint   = 128
	MaxMethod     = 32
	MaxTarget     = 8 << 10 // of path and of query; RFC 9110 section 4.1 asks for 8,000 at least
	MaxPriority   = 9
	MaxAttempts   = 1000
	MaxLabels     = 64
	MaxLabelKey   = 128
	MaxLabelValue = 1024

	MaxHeaderBytes  = 64 << 10 // names and values together; a repeated name counts again
	MaxHeaderFields = 1000     // field lines; a repeat is one of its own
)

// Limits of what only messages have.
const (
	maxBodyRef    = 256
	maxRepeated   = 8 << 10 // of content_type, traceparent and tracestate
	maxRetryCount = 1_000_000
)

// MaxInlineBody is the size in bytes of the largest body that a message holds itself: a larger one of a request stays
// in the store, and one of a response is told by result_url. It is the limit of the wire format, on every broker.
const MaxInlineBody = 256 << 10
