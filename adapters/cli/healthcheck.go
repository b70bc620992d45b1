package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout bounds the whole check. A container runner should allow a little more, and repeat it later.
const healthTimeout = 3 * time.Second

// healthcheckCommand asks the process on this machine that has the same configuration whether it is alive. It is the
// health check of the container image, which has neither a shell nor curl.
//
// It asks /health/live, not /health/ready. Docker only shows the result, but what runs Docker's containers (Swarm, ECS,
// autoheal) replaces an unhealthy one. That mends no broker, and would cut off the calls in flight during an outage or
// a drain. While a start waits for a broker, the process is alive but not ready.
//
// The exit code is exitOK or exitFailed; exitUsage only for a wrong command line, as Docker reserves 2
// (https://docs.docker.com/reference/dockerfile/#healthcheck). The reason is printed in one line, which is what
// `docker inspect` shows.
func (p *Program) healthcheckCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check that the process with this configuration on this machine is alive",
		Long: `Check that the process with this configuration on this machine is alive. It asks /health/live and waits ` +
			healthTimeout.String() + `
at most. The exit code is 0 or 1.`,
		Example: "  openhqm healthcheck --config openhqm.yaml",
		Args:    noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			listener, err := p.Listen(settingsOf(command))
			if err == nil {
				err = checkLive(newHealthTransport(), listener)
			}
			if err != nil {
				return errors.New(strings.Join(strings.Fields(err.Error()), " "))
			}
			return nil
		},
	}
	p.addSettings(command)
	return command
}

// healthTransport uses no proxy, whatever HTTP_PROXY says, as what is asked is on this machine. For the same reason,
// and because nothing secret is sent, the certificate need not be for the loopback address.
type healthTransport struct {
	http.Transport

	asked atomic.Bool // the server wants a certificate of its clients
}

func newHealthTransport() *healthTransport {
	t := &healthTransport{}
	t.DisableKeepAlives = true
	t.TLSClientConfig = &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // see above
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.asked.Store(true)
			return &tls.Certificate{}, nil
		},
	}
	return t
}

// RoundTrip implements http.RoundTripper. Without a certificate there is no answer where one is wanted, but only a
// process that is alive can ask for one.
func (t *healthTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(request)
	if err != nil && t.asked.Load() && request.Context().Err() == nil {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}
	return response, err
}

// checkLive blocks for healthTimeout at most. Any status but 200 is an error, redirects included: they come from
// another program on the port.
func checkLive(transport http.RoundTripper, listener Listener) error {
	base, err := localURL(listener)
	if err != nil {
		return fmt.Errorf("health check: %w; set a fixed port", err)
	}
	address := base + "/health/live"
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
