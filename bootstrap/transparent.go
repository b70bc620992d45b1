package bootstrap

import (
	"fmt"
	"net"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
)

// transparent returns the address that serves one endpoint as if the backend listened there; zero: not configured.
func transparent(config configs.Transparent) httpapi.Transparent {
	return httpapi.Transparent{Address: config.Listen, Endpoint: config.Endpoint}
}

// announceTransparent logs the address, and whether other machines can use it without a key; nil: not configured.
func (s *serving) announceTransparent(address net.Addr) {
	if address == nil {
		return
	}
	endpoint := s.Config.Proxy.Transparent.Endpoint
	s.Logger.Info("listening for the endpoint", "address", address.String(), "endpoint", endpoint)
	if len(s.Config.Server.APIKeys) == 0 && !loopback(address) {
		warning := fmt.Sprintf("server.api_keys is empty: every client of %s may send requests to %s; "+
			"set server.api_keys, or proxy.transparent.listen to 127.0.0.1", address, endpoint)
		s.Logger.Warn("open to other machines", "warning", warning)
	}
}
