package bootstrap

import (
	"fmt"
	"net"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// apiKeys says what each key may do.
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
	AdminAddr() net.Addr // nil: there is none
}

// exposures says what other machines can do without a key. It looks at what is bound, because a configured name does
// not tell where it leads. A worker shows health and metrics alone.
func exposures(server listening, config configs.Config) []string {
	if config.Role == configs.RoleWorker {
		return nil
	}
	var open []string
	if address := server.Addr(); len(config.Server.APIKeys) == 0 && !loopback(address) {
		open = append(open, fmt.Sprintf("server.api_keys is empty, so whoever can connect to %s may do everything, "+
			"administration included; set server.api_keys, or server.host to 127.0.0.1", address))
	}
	if address := server.AdminAddr(); address != nil && !loopback(address) {
		open = append(open, fmt.Sprintf("server.admin_listen asks for no key, so whoever can connect to %s is an "+
			"administrator; see that only administrators can, or make it 127.0.0.1", address))
	}
	return open
}

func loopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
