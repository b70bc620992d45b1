package bootstrap

import (
	"fmt"
	"net"
	"strings"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// apiKeys returns the configured keys with what each may do.
func apiKeys(configured []configs.APIKey) []httpapi.Key {
	keys := make([]httpapi.Key, 0, len(configured))
	for _, k := range configured {
		keys = append(keys, httpapi.Key{
			SHA256: k.SHA256.Sum(),
			Caller: ports.Caller{Name: k.Name, Endpoints: k.Endpoints, Admin: k.Admin},
		})
	}
	return keys
}

// listening is a server that has bound its addresses.
type listening interface {
	Addr() net.Addr
	AdminAddr() net.Addr       // nil: not configured
	TransparentAddr() net.Addr // nil: not configured
}

// exposures returns a warning for each thing that other machines can do without a key. It checks the bound addresses,
// because a configured name may resolve to any. A worker serves only health and metrics.
func exposures(server listening, config configs.Config) []string {
	if config.Role == configs.RoleWorker {
		return nil
	}
	var open []string
	if address := server.Addr(); len(config.Server.APIKeys) == 0 && !loopback(address) {
		open = append(open, fmt.Sprintf("server.api_keys is empty: every client of %s may do everything; "+
			"set server.api_keys, or server.host to 127.0.0.1", address))
	}
	if address := server.AdminAddr(); address != nil && !loopback(address) {
		open = append(open, fmt.Sprintf("server.admin_listen asks for no key: every client of %s is an administrator; "+
			"restrict access, or set it to 127.0.0.1", address))
	}
	return append(open, clearKeys(server, config)...)
}

// clearKeys returns a warning for each address where keys cross the network in the clear. Where server.public_url is
// https, a proxy in front of this process encrypts.
func clearKeys(server listening, config configs.Config) []string {
	s := config.Server
	if len(s.APIKeys) == 0 || s.TLS.On() || strings.HasPrefix(s.PublicURL, "https:") {
		return nil
	}
	var open []string
	for _, address := range []net.Addr{server.Addr(), server.TransparentAddr()} {
		if address != nil && !loopback(address) {
			open = append(open, fmt.Sprintf("API keys reach %s without encryption: set server.tls, or put a proxy with TLS "+
				"in front and set server.public_url to its https address", address))
		}
	}
	return open
}

func loopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
