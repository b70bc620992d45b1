package httpapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// hosts are the names under which an address that asks for no key may be used. In a browser, a page of another site can
// make its own name lead to this machine (DNS rebinding). It is then of the same origin as we are, and no rule for
// pages holds. But it cannot choose the Host that the browser sends: that is the page's own name.
type hosts struct{ names []string } // lower case; "*." in front stands for all below; "*": all

// newHosts returns the names of the options.
func newHosts(opts *Options) hosts {
	var h hosts
	for _, name := range opts.Hosts {
		h.names = append(h.names, strings.ToLower(name))
	}
	if public, err := url.Parse(opts.PublicURL); err == nil && public.Hostname() != "" {
		h.names = append(h.names, strings.ToLower(public.Hostname()))
	}
	return h
}

// privateSuffixes are of names that are never in the public DNS: RFC 6761 section 6.3, RFC 6762, RFC 8375, the top
// level that ICANN reserves for private use, and Kubernetes' own.
var privateSuffixes = []string{".localhost", ".local", ".home.arpa", ".internal", ".svc"}

// errMisdirected is for a request whose Host is not ours (RFC 9110 section 15.5.20).
var errMisdirected = errors.New("without an API key, only addresses, local names and those in server.hosts are served")

// check returns an error that matches errMisdirected unless the Host of a request is an address, a name that nobody
// else can have in the public DNS, or one of ours. Clients without a Host are no browsers.
func (h *hosts) check(r *http.Request) error {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if h.own(name) {
		return nil
	}
	return fmt.Errorf("%w; the Host is %q", errMisdirected, name)
}

func (h *hosts) own(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
		return true
	}
	below := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
	return slices.ContainsFunc(privateSuffixes, below) || slices.ContainsFunc(h.names, func(own string) bool {
		return own == "*" || own == name || strings.HasPrefix(own, "*.") && below(own[1:])
	})
}
