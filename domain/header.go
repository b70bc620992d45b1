package domain

import (
	"net/textproto"
	"slices"
	"strings"
)

// Header holds HTTP fields: values by canonical name, repeats kept in order. It has the shape of net/http.Header, so
// adapters convert without copying.
type Header map[string][]string

// Get returns the first value of name in any case, or "".
func (h Header) Get(name string) string {
	if v := h[textproto.CanonicalMIMEHeaderKey(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Has reports whether the field is there, even with an empty value.
func (h Header) Has(name string) bool {
	return len(h[textproto.CanonicalMIMEHeaderKey(name)]) > 0
}

// Set replaces the values of name.
func (h Header) Set(name string, values ...string) {
	h[textproto.CanonicalMIMEHeaderKey(name)] = values
}

// Add appends a value to name.
func (h Header) Add(name, value string) {
	key := textproto.CanonicalMIMEHeaderKey(name)
	h[key] = append(h[key], value)
}

// Del removes name.
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

// HeaderKey carries a caller's key for this gateway. It is ours alone and never forwarded or stored.
const HeaderKey = "X-Openhqm-Key"

// hopByHop are the connection-level fields that an intermediary must not forward (RFC 9110 section 7.6.1), with those
// of proxy authentication (section 11.7), which belong to this hop.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ofThisMessage are fields of the message that came, which the one that is sent writes anew, and our own key.
var ofThisMessage = []string{HeaderKey, "Host", "Content-Length"}

// EndToEnd returns a copy without hop-by-hop fields, those that Connection names included, under any alias (see
// FoldName). One field under several spellings becomes one: what only one of them names or holds must not slip through
// beside it.
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

// HeaderPolicy says which of a client's fields travel to a backend (proxy.forward_headers, proxy.strip_headers).
type HeaderPolicy struct {
	Forward []string // "*" stands for all
	Strip   []string // wins over Forward
}

// Apply returns what may travel: end-to-end fields that Forward names and Strip does not, never our own key, and
// neither Host nor Content-Length, which belong to the message that is sent, not to the one that came. What does not
// travel does not do so under an alias either, see FoldName.
func (p HeaderPolicy) Apply(h Header) Header {
	out := h.EndToEnd()
	all := slices.Contains(p.Forward, "*")
	for name := range out {
		if !all && !containsFold(p.Forward, name) || p.stays(FoldName(name)) {
			delete(out, name)
		}
	}
	return out
}

// stays tells of a folded name whether it is one of the end-to-end fields that do not travel.
func (p HeaderPolicy) stays(name string) bool {
	for _, stripped := range p.Strip {
		if FoldName(stripped) == name {
			return true
		}
	}
	return slices.Contains(ofThisMessage, name)
}

// FoldName gives a field's name as a backend sees it that cannot tell "_" from "-": CGI turns both into "_" (RFC 3875
// section 4.1.18), and so do WSGI and others after it. There X_Api_Key stands for X-Api-Key, and would be a way around
// whoever sets or strips that one. The result is canonical.
func FoldName(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
