package cli

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var errAnyPort = errors.New("server.port is 0 (any free port), so the real one is unknown")

// localURL is where a process that listens there is reached from its own machine, without a path. It returns errAnyPort
// for port 0.
func localURL(l Listener) (string, error) {
	if l.Port == 0 {
		return "", errAnyPort
	}
	base := url.URL{Scheme: "http", Host: net.JoinHostPort(reachable(l.Host), strconv.Itoa(l.Port))}
	if l.TLS {
		base.Scheme = "https"
	}
	return base.String(), nil
}

// reachable replaces an address that stands for all by the loopback address of its family.
func reachable(host string) string {
	address, err := netip.ParseAddr(host)
	switch {
	case err != nil || !address.Unmap().IsUnspecified():
		return host
	case address.Unmap().Is4():
		return "127.0.0.1"
	default:
		return "::1"
	}
}

// checkURL returns text without a slash at its end. It must be the address of an api, which may have a path in front.
func checkURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return "", usagef("--url must look like http://host:port")
	}
	return strings.TrimSuffix(text, "/"), nil
}
