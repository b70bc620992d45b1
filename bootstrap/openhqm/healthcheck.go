package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openhqm/openhqm/configs"
)

// healthTimeout bounds the whole question. A runner of containers should allow a little more, and start over later.
const healthTimeout = 3 * time.Second

// healthcheck asks the process that runs on this machine with the same configuration whether it is alive. It is the
// healthcheck of the container image, which has neither a shell nor curl.
//
// It asks /health/live, not /health/ready. Docker itself only shows the answer, but what runs Docker's containers
// (Swarm, ECS, autoheal) replaces one that is unhealthy, and that mends no broker: it would cut off the calls under way
// when a broker is away, and a shutdown before its drain is over. The listener opens after the queue, so a container
// that turned healthy at its start is also ready, as compose's `condition: service_healthy` expects.
//
// The exit code is exitOK or exitFailed, never exitUsage: Docker reserves 2
// (https://docs.docker.com/reference/dockerfile/#healthcheck). The reason goes to stderr in one line, which is what
// `docker inspect` shows.
func healthcheck(sources configs.Sources, stderr io.Writer) int {
	config, _, err := configs.Load(sources)
	if err == nil {
		// Without a proxy: what is asked is on this machine, whatever HTTP_PROXY says.
		err = askLive(&http.Transport{DisableKeepAlives: true}, config.Server)
	}
	if err != nil {
		complain(stderr, errors.New(strings.Join(strings.Fields(err.Error()), " ")))
		return exitFailed
	}
	return exitOK
}

// askLive blocks for healthTimeout at most. Any answer but 200 is an error; after a redirect another program has the
// port.
func askLive(transport http.RoundTripper, server configs.Server) error {
	address, err := liveURL(server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("health check: GET %s: %w", address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: GET %s: status %d", address, response.StatusCode)
	}
	return nil
}

// liveURL is where a process with this configuration listens, seen from its own machine.
func liveURL(server configs.Server) (string, error) {
	if server.Port == 0 {
		return "", errors.New("health check: server.port is 0, any free one: which one it is cannot be known here, " +
			"so set a fixed port")
	}
	live := url.URL{
		Scheme: "http",
		Host:   net.JoinHostPort(reachable(server.Host), strconv.Itoa(server.Port)),
		Path:   "/health/live",
	}
	return live.String(), nil
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
