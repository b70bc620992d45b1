package domain

import (
	"net/netip"
	"slices"
	"strings"
)

// Origin is where a request came from, as far as we trust what the client and proxies say.
type Origin struct {
	Address netip.Addr // of the client; zero: unknown
	Proto   string     // that the client used, "http" or "https"
	Host    string     // that the client asked for, with the port if there was one
}

// Forwarding says which header fields carry the Origin to a backend (proxy.forwarded). Zero is ForwardingOff.
type Forwarding string

// The values of proxy.forwarded.
const (
	ForwardingOff     Forwarding = "off"         // no field; what clients claim passes like any other field
	ForwardingX       Forwarding = "x-forwarded" // X-Forwarded-For, -Proto and -Host
	ForwardingRFC7239 Forwarding = "rfc7239"     // Forwarded (RFC 7239)
)

const (
	headerForwarded = "Forwarded"
	headerXFor      = "X-Forwarded-For"
	headerXHost     = "X-Forwarded-Host"
	headerXProto    = "X-Forwarded-Proto"
)

// claims are fields from which a backend may conclude who the client is or what it asked for: all that begin with
// claimPrefix, and these. Proxies, content delivery networks and rewriting servers commonly write them, and so do we.
// In a client's request they describe a connection that was not ours.
var claims = []string{
	headerForwarded, "Cf-Connecting-Ip", "Fastly-Client-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
	"X-Original-Host", "X-Original-Url", "X-Real-Ip", "X-Rewrite-Url",
}

const claimPrefix = "X-Forwarded-"

// isClaim reports whether a backend may read the field as a claim, under any spelling (see FoldName).
func isClaim(name string) bool {
	folded := FoldName(name)
	return strings.HasPrefix(folded, claimPrefix) || slices.Contains(claims, folded)
}

// Names returns the fields that Apply writes.
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

// Apply writes the origin into h and removes all that the client claims about itself, so that a backend which trusts
// these fields trusts us. It names one client: which proxies before us to trust has been decided by then.
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

// forwarded returns one element of Forwarded. The values of for and host are quoted, because an address in brackets and
// a port are not tokens (RFC 7239 sections 4 and 6).
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
