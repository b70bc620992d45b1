package bootstrap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openhqm/openhqm/configs"
)

// pseudonym is our name in Via. All processes of an installation have the same, because one accepts what another has
// forwarded.
type pseudonym string

// newPseudonym returns proxy.via or, without that, a name that follows from what an installation shares: its queue and
// its Redis. The embedded queue belongs to one process, so there it is random.
func newPseudonym(config configs.Config) (pseudonym, error) {
	if config.Proxy.Via != "" {
		return pseudonym(config.Proxy.Via), nil
	}
	if config.Queue.Type == configs.QueueEmbedded {
		return named(uuid.NewString()), nil
	}
	store, err := config.ResolveRedis()
	if err != nil {
		return "", err
	}
	servers := slices.Sorted(slices.Values(config.Servers()))
	return named(append(servers, config.Queue.Type, config.Queue.Requests, serverOf(store))...), nil
}

// named returns a name that shows nothing of its parts.
func named(parts ...string) pseudonym {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return pseudonym("openhqm-" + hex.EncodeToString(sum[:6]))
}

// serverOf returns what of the URL of a Redis names the database: no password, and no settings of connections.
func serverOf(redisURL string) string {
	u, err := url.Parse(redisURL)
	if err != nil {
		return "" // it has been checked
	}
	query := u.Query()
	seeds := slices.Sorted(slices.Values(append(query["addr"], u.Host)))
	return fmt.Sprint(seeds, u.Path, query["master_name"])
}

// selfCalls returns a warning for each endpoint that is this gateway. Requests would go in a circle.
func selfCalls(server listening, config configs.Config) []string {
	if config.Role == configs.RoleWorker {
		return nil
	}
	bound := []net.Addr{server.Addr()}
	if transparent := server.TransparentAddr(); transparent != nil {
		bound = append(bound, transparent)
	}
	scheme := "http"
	if config.Server.TLS.On() {
		scheme = "https"
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(config.Proxy.Endpoints)) {
		text := config.Proxy.Endpoints[name].URL
		u, err := url.Parse(text)
		if err != nil {
			continue // it has been checked
		}
		if sameServer(u, config.Server.PublicURL) || slices.ContainsFunc(bound, leadsTo(u, scheme)) {
			found = append(found, fmt.Sprintf(
				"endpoint %q: its url leads back to this gateway; the second round is refused with 508", name))
		}
	}
	return found
}

// sameServer reports whether a URL has the scheme, host and port of another.
func sameServer(u *url.URL, other string) bool {
	public, err := url.Parse(other)
	return err == nil && other != "" && u.Scheme == public.Scheme &&
		strings.EqualFold(u.Hostname(), public.Hostname()) && portOf(u) == portOf(public)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// leadsTo returns a function that reports whether a URL leads to a bound address of that scheme. It looks no name up:
// that could take long, and change.
func leadsTo(u *url.URL, scheme string) func(net.Addr) bool {
	return func(address net.Addr) bool {
		tcp, ok := address.(*net.TCPAddr)
		if !ok || u.Scheme != scheme || portOf(u) != strconv.Itoa(tcp.Port) {
			return false
		}
		host, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return isThisMachine(u.Hostname()) && (tcp.IP.IsUnspecified() || tcp.IP.IsLoopback())
		}
		if tcp.IP.IsUnspecified() {
			return host.IsLoopback() || host.IsUnspecified() || isOwnAddress(host)
		}
		return tcp.IP.Equal(host.AsSlice())
	}
}

func isThisMachine(name string) bool {
	own, err := os.Hostname()
	return strings.EqualFold(name, "localhost") || err == nil && strings.EqualFold(name, own)
}

func isOwnAddress(host netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == host.Unmap()
	})
}
