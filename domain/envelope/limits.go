package envelope

// Limits of what Decode accepts, and of what may be submitted, because that must be decoded again. Lengths are in
// bytes.
const (
	MaxEndpoint   = 128
	MaxMethod     = 32
	MaxTarget     = 8 << 10 // of path and of query; RFC 9110 section 4.1 recommends at least 8,000
	MaxPriority   = 9
	MaxAttempts   = 1000
	MaxLabels     = 64
	MaxLabelKey   = 128
	MaxLabelValue = 1024

	MaxHeaderBytes  = 64 << 10 // names and values together; a repeated name counts again
	MaxHeaderFields = 1000     // field lines; a repeat is one of its own
)

// Limits of members that only messages have.
const (
	maxBodyRef    = 256
	maxRepeated   = 8 << 10 // of content_type, traceparent and tracestate
	maxRetryCount = 1_000_000
)

// MaxInlineBody is the size in bytes of the largest body within a message, on every broker. A larger body of a request
// stays in the store; for a larger body of a response the message has a result_url.
const MaxInlineBody = 256 << 10

// PriorityOf returns the priority that a word stands for: "low" and "normal" are 0, "high" is 9. Messages of the first
// OpenHQM have words.
func PriorityOf(word string) (priority int, known bool) {
	switch word {
	case "low", "normal":
		return 0, true
	case "high":
		return MaxPriority, true
	default:
		return 0, false
	}
}
