package bootstrap

import (
	"log/slog"
	"net"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/configs"
)

// logFirstSteps says what to type next, in lines to copy from. It is for somebody who tries the gateway out: the log is
// a terminal, and neither a queue, a backend nor a key is configured.
func logFirstSteps(logger *slog.Logger, config configs.Config, address net.Addr) {
	if !telemetry.OnTerminal(logger) || config.Role != configs.RoleAll || config.Queue.Type != configs.QueueEmbedded ||
		backendOf(config) != backendEcho || len(config.Server.APIKeys) > 0 {
		return
	}
	for _, step := range firstSteps(typedAddress(address)) {
		logger.Info(step) //nolint:sloglint // as an attribute its quotes would be escaped, and nobody could copy it
	}
}

func firstSteps(address string) []string {
	base := "http://" + address
	return []string{
		"send a request:     curl -d hello " + base + "/proxy/" + configs.EndpointEcho,
		"fetch its response: curl '" + base + "/api/v1/response/ID?wait=10s'  (ID: the correlation_id of the answer)",
		"read on:            curl " + base + "/openapi.yaml  (the API), openhqm help  (the command line)",
	}
}

// typedAddress is the host and port to type on this machine for a bound address.
func typedAddress(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return address.String()
	}
	_, port, _ := net.SplitHostPort(tcp.String())
	return net.JoinHostPort("localhost", port)
}
