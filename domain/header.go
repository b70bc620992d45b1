package domain

import (
	"net/textproto"
	"slices"
	"strings"
)

// Header holds HTTP fields: values by canonical name, repeats kept in order. It has the shape of net/http.Header, so
// that adapters convert without copying.
type Header map[string][]string

// Get returns the first value of the field, or "". Like all methods it takes the name in any case.
func (h Header) Get(name string) string {
	if v := h[textproto.CanonicalMIMEHeaderKey(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Has reports whether the field is present, even if its value is empty.
func (h Header) Has(name string) bool {
	return len(h[textproto.CanonicalMIMEHeaderKey(name)]) > 0
}

// Set replaces all values of the field. It keeps the slice.
func (h Header) Set(name string, values ...string) {
	h[textproto.CanonicalMIMEHeaderKey(name)] = values
}

// Add appends a value to the field.
func (h Header) Add(name, value string) {
	key := textproto.CanonicalMIMEHeaderKey(name)
	h[key] = append(h[key], value)
}

// Del removes the field.
func (h Header) Del(name string) {
	delete(h, textproto.CanonicalMIMEHeaderKey(name))
}

// Clone returns a deep copy, never nil.
func (h Header) Clone() Header {
	out := make(Header, len(h))
	for name, values := range h {
		out[name] = slices.Clone(values)
	}
	return out
}

// size counts the bytes of all fields, each with its name.
func (h Header) size() int64 {
	var size int64
	for name, values := range h {
		for _, value := range values {
			size += int64(len(name) + len(value))
		}
	}
	return size
}

// HeaderKey is the field of a caller's key for this gateway. It is never forwarded and never stored.
const HeaderKey = "X-Openhqm-Key"

// hopByHop are the connection-level fields that an intermediary must not forward (RFC 9110 section 7.6.1), and those of
// proxy authentication (section 11.7), which are for this hop.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ofThisMessage are our own key and the fields that describe the received message; the forwarded one has its own.
var ofThisMessage = []string{HeaderKey, "Host", "Content-Length"}

// gatewayPrefix begins the fields that are for gateways like this one. A backend could mistake a client's for ours.
const gatewayPrefix = "X-Openhqm-"

// EndToEnd returns a copy without hop-by-hop fields, including those that Connection names, under any spelling (see
// FoldName). Spellings of one field that differ in case become one field, so that none slips through beside another.
func (h Header) EndToEnd() Header {
	out := make(Header, len(h))
	for name, values := range h {
		key := textproto.CanonicalMIMEHeaderKey(name)
		out[key] = append(out[key], values...)
	}
	named := make(map[string]bool)
	for _, value := range out["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			named[FoldName(strings.TrimSpace(name))] = true
		}
	}
	for name := range out {
		if folded := FoldName(name); named[folded] || slices.Contains(hopByHop, folded) {
			delete(out, name)
		}
	}
	return out
}

// HeaderPolicy says which of a client's fields are forwarded (proxy.forward_headers, proxy.strip_headers).
type HeaderPolicy struct {
	Forward []string // "*" stands for all; those that connect calls are forwarded even if it does not name them
	Strip   []string // wins over Forward
}

// connecting are the fields by which others recognize a call: logs, traces, a backend that gets it twice, and gateways
// that look for loops. Whoever restricts Forward thinks of what an application sees, and would break them unawares.
var connecting = []string{"Idempotency-Key", "Traceparent", "Tracestate", HeaderVia, "X-Correlation-Id"}

// Apply returns a copy with the fields to forward: those of Sendable that connect calls or that Forward names, unless
// Strip names them. Fields for gateways (X-OpenHQM-*) are never among them. A field that is left out is left out under
// any spelling (see FoldName).
func (p HeaderPolicy) Apply(h Header) Header {
	out := h.Sendable()
	all := slices.Contains(p.Forward, "*")
	for name := range out {
		if !all && !p.forwarded(name) || p.stripped(FoldName(name)) {
			delete(out, name)
		}
	}
	return out
}

func (p HeaderPolicy) forwarded(name string) bool {
	return slices.Contains(connecting, name) || containsFold(p.Forward, name)
}

// stripped reports whether a field is never forwarded, given its folded name.
func (p HeaderPolicy) stripped(name string) bool {
	return strings.HasPrefix(name, gatewayPrefix) ||
		slices.ContainsFunc(p.Strip, func(strip string) bool { return FoldName(strip) == name })
}

// Sendable returns a copy with the end-to-end fields that another message may have too: without our own key, Host and
// Content-Length, because the message that is sent has its own.
func (h Header) Sendable() Header {
	out := h.EndToEnd()
	for name := range out {
		if slices.Contains(ofThisMessage, FoldName(name)) {
			delete(out, name)
		}
	}
	return out
}

// FoldName returns a field's canonical name with "-" for everything but letters and digits. CGI turns "-" into "_" (RFC
// 3875 section 4.1.18), and so do WSGI and its successors; PHP and others turn more characters into it. To such a
// backend X_Api.Key is X-Api-Key. Whoever sets or strips a field must therefore compare folded names.
func FoldName(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, name))
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
