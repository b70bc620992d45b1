package application

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Without API keys, what tells clients of one application apart are the fields that it does so by itself.
var identifying = []string{"Authorization", "Cookie"}

// callerScope names whose idempotency keys those of a submission are: two callers that choose the same key mean two
// requests, and must never get each other's response. With API keys stores tell callers apart by Request.Owner, and it
// is empty. Without them it is a hash of the fields that identify the client of the application; empty: it has none.
func callerScope(sub *ports.Submission) string {
	if sub.Caller.Name != "" {
		return ""
	}
	hash, identified := sha256.New(), false
	for _, name := range identifying {
		values := sub.Header[name]
		identified = identified || len(values) > 0
		_ = binary.Write(hash, binary.BigEndian, uint64(len(values))) // a hash never fails
		for _, value := range values {
			_ = binary.Write(hash, binary.BigEndian, uint64(len(value)))
			_, _ = hash.Write([]byte(value))
		}
	}
	if !identified {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// scopeSeparator cannot be in the key of a client.
const scopeSeparator = "\n"

// scopedKey returns the idempotency key by which a store finds repeats.
func scopedKey(key, scope string) string {
	if scope == "" {
		return key
	}
	return key + scopeSeparator + scope
}

const headerIdempotency = "Idempotency-Key"

// scopeBackendKey makes the idempotency key that the backend gets one of the caller: for the backend all callers are
// one, the gateway. A caller that nothing tells apart from others keeps its own.
func scopeBackendKey(header domain.Header, owner, scope string) {
	key := header.Get(headerIdempotency)
	if key == "" || owner == "" && scope == "" {
		return
	}
	sum := sha256.Sum256([]byte(owner + scopeSeparator + scope))
	mark := "~" + hex.EncodeToString(sum[:8])
	if quoted, ok := strings.CutSuffix(key, `"`); ok {
		header.Set(headerIdempotency, quoted+mark+`"`)
		return
	}
	header.Set(headerIdempotency, key+mark)
}
