package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
)

// APIKey is what one key of the HTTP interface may do. The key itself is not known here.
type APIKey struct {
	Name      string   `koanf:"name"` // unique; requests belong to it
	SHA256    Digest   `koanf:"sha256"`
	Endpoints []string `koanf:"endpoints"` // that it may use; empty: all
	Admin     bool     `koanf:"admin"`     // may use dead letters and metrics, and sees the records of all
}

// Digest is a SHA-256 in hex. It is no secret, but a value that is not a digest may be one: a key in the wrong place.
// So faults do not show it.
type Digest string

var errDigest = errors.New("must be the SHA-256 of the key, 64 hex digits")

// Sum returns the bytes.
func (d Digest) Sum() [sha256.Size]byte {
	var sum [sha256.Size]byte
	_, _ = hex.Decode(sum[:], []byte(d)) // Load has checked it
	return sum
}

func parseDigest(text string) error {
	if bytes, err := hex.DecodeString(text); err != nil || len(bytes) != sha256.Size {
		return errDigest
	}
	return nil
}

// RateLimit bounds how often something may happen.
type RateLimit struct {
	RPS   float64 `koanf:"rps"`   // a second, in the long run; 0: no limit
	Burst int     `koanf:"burst"` // at once, after a pause; at least 1, or 0 without a limit
}

// complete fills in a burst that was left out: what RPS allows in a second.
func (r *RateLimit) complete() {
	if r.RPS > 0 && r.Burst == 0 {
		r.Burst = int(math.Ceil(min(r.RPS, maxRate)))
	}
}

// ProxyPrefixes returns the networks of the trusted proxies. An address is a network of its own.
func (s *Server) ProxyPrefixes() []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(s.TrustedProxies))
	for _, text := range s.TrustedProxies {
		prefix, _ := parsePrefix(text) // Load has checked it
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// parsePrefix reads an address or a network. It refuses an IPv4 address in IPv6 form and a zone, because a network with
// one of them would contain nothing.
func parsePrefix(text string) (prefix netip.Prefix, ok bool) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, false
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	return prefix.Masked(), !prefix.Addr().Is4In6()
}
