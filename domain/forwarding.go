package domain

import (
	"net/netip"
	"slices"
	"strings"
)

// Origin is who sent a request, as far as we believe it.
type Origin struct {
	Address netip.Addr // of the client; zero: not known
	Proto   string     // that the client spoke, "http" or "https"
	Host    string     // that the client asked for, with the port if there was one
}

// Forwarding says in which fields a backend is told of the Origin (proxy.forwarded). Zero is ForwardingOff.
type Forwarding string

// The ways to tell it.
const (
	ForwardingOff     Forwarding = "off"         // nothing is told; what clients claim passes like any field
	ForwardingX       Forwarding = "x-forwarded" // X-Forwarded-For, -Proto and -Host
	ForwardingRFC7239 Forwarding = "rfc7239"     // Forwarded (RFC 7239)
)

const (
	headerForwarded = "Forwarded"
	headerXFor      = "X-Forwarded-For"
	headerXHost     = "X-Forwarded-Host"
	headerXProto    = "X-Forwarded-Proto"
)

// claims are the fields that a backend may believe about a client, or about what it asked for: all that begin with
// claimPrefix, and these. Besides those that we write there are the ones that proxies, content delivery networks and
// rewriting servers commonly write; all of them say something about a connection that was not ours.
var claims = []string{
	headerForwarded, "Cf-Connecting-Ip", "Fastly-Client-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
	"X-Original-Host", "X-Original-Url", "X-Real-Ip", "X-Rewrite-Url",
}

const claimPrefix = "X-Forwarded-"

// isClaim tells a claim under any name that a backend may read as one, see FoldName.
func isClaim(name string) bool {
	folded := FoldName(name)
	return strings.HasPrefix(folded, claimPrefix) || slices.Contains(claims, folded)
}

// Names lists the fields that are written.
func (f Forwarding) Names() []string {
	switch f {
	case ForwardingX:
		return []string{headerXFor, headerXHost, headerXProto}
	case ForwardingRFC7239:
		return []string{headerForwarded}
	case ForwardingOff:
	}
	return nil
}

// Apply writes the origin into h, in place of all that the client claims about itself: a backend that believes these
// fields believes us. There is one client to name, since the proxies before us have been judged by then.
func (f Forwarding) Apply(h Header, from Origin) {
	if len(f.Names()) == 0 {
		return
	}
	for name := range h {
		if isClaim(name) {
			delete(h, name)
		}
	}
	if f == ForwardingRFC7239 {
		h.Set(headerForwarded, from.forwarded())
		return
	}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	if from.Address.IsValid() {
		h.Set(headerXFor, from.Address.String())
	}
	set(headerXHost, from.Host)
	set(headerXProto, from.Proto)
}

// forwarded is one element of Forwarded: the values of for and host are quoted, since an address in brackets and a port
// are no tokens (RFC 7239 sections 4 and 6).
func (o Origin) forwarded() string {
	node := "unknown" // RFC 7239 section 6.2
	switch {
	case o.Address.Is4():
		node = o.Address.String()
	case o.Address.IsValid():
		node = `"[` + o.Address.String() + `]"`
	}
	element := "for=" + node
	if o.Host != "" {
		element += `;host="` + quotedPairs.Replace(o.Host) + `"`
	}
	if o.Proto != "" {
		element += ";proto=" + o.Proto
	}
	return element
}

// quotedPairs escapes what a quoted-string cannot hold as it is (RFC 9110 section 5.6.4).
var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
