package bootstrap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// endpointSet returns the endpoints of a configuration, and what calls them; nil: nothing does.
func endpointSet(config configs.Config, backend ports.Backend) *ports.EndpointSet {
	return &ports.EndpointSet{ByName: endpointsOf(config), Default: defaultEndpoint(config), Backend: backend}
}

// endpointsOf returns the endpoints by name. While none is configured there is the built-in one.
func endpointsOf(config configs.Config) map[string]domain.Endpoint {
	if len(config.Proxy.Endpoints) == 0 {
		return map[string]domain.Endpoint{configs.EndpointEcho: {
			Name: configs.EndpointEcho, Timeout: config.Worker.Timeout, Retry: retryPolicy(config.Retry),
		}}
	}
	endpoints := make(map[string]domain.Endpoint, len(config.Proxy.Endpoints))
	for name, e := range config.Proxy.Endpoints {
		endpoints[name] = domain.Endpoint{
			Name: name, Method: e.Method, Timeout: e.Timeout, Retry: retryPolicy(e.Retry),
		}
	}
	return endpoints
}

// defaultEndpoint returns the endpoint of requests that name none. While none is configured it is the built-in one.
func defaultEndpoint(config configs.Config) string {
	if len(config.Proxy.Endpoints) == 0 {
		return configs.EndpointEcho
	}
	return config.Proxy.DefaultEndpoint
}

// limitsOf returns the limits of every endpoint in this process.
func limitsOf(config configs.Config) map[string]worker.Limit {
	limits := make(map[string]worker.Limit, len(config.Proxy.Endpoints))
	for name, e := range config.Proxy.Endpoints {
		limits[name] = worker.Limit{
			InFlight: e.MaxInFlight, Rate: e.RateLimit.RPS, Burst: e.RateLimit.Burst,
			Breaker: worker.BreakerRule(e.Breaker), URL: e.URL,
		}
	}
	return limits
}

func retryPolicy(r configs.Retry) domain.RetryPolicy {
	return domain.RetryPolicy{
		MaxAttempts: r.MaxAttempts, Base: r.Base, Max: r.Max, Jitter: r.Jitter, OnStatus: r.OnStatus,
	}
}

// endpointNames returns the names of all endpoints.
func endpointNames(config configs.Config) []string {
	return slices.Sorted(maps.Keys(endpointsOf(config)))
}

func newMetrics(version Version, config configs.Config, logger *slog.Logger) *telemetry.Metrics {
	return telemetry.NewMetrics(telemetry.Options{
		Logger:    logger,
		Version:   string(version),
		Endpoints: endpointNames(config),
	})
}

// httpEndpoints returns the endpoints for the adapter that calls them, with resolved secrets.
func httpEndpoints(config configs.Config) ([]httpbackend.Endpoint, error) {
	if err := config.ResolveSecrets(); err != nil {
		return nil, err
	}
	var endpoints []httpbackend.Endpoint
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(config.Proxy.Endpoints)) {
		e, err := httpEndpoint(name, config.Proxy.Endpoints[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("endpoint %q: %w", name, err))
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, errors.Join(faults...)
}

func httpEndpoint(name string, e configs.Endpoint) (httpbackend.Endpoint, error) {
	header := make(domain.Header, len(e.Headers))
	for field, secret := range e.Headers {
		value, err := secret.Resolve()
		if err != nil {
			return httpbackend.Endpoint{}, err
		}
		header[field] = []string{value} // in the operator's spelling
	}
	var secure *tls.Config
	if e.TLS != (configs.TLS{}) {
		var err error
		if secure, err = tlsConfig(e.TLS); err != nil {
			return httpbackend.Endpoint{}, fmt.Errorf("tls: %w", err)
		}
	}
	token, tokenErr := e.Auth.Token.Resolve()
	password, passwordErr := e.Auth.Password.Resolve()
	return httpbackend.Endpoint{
		Name: name, URL: e.URL, Header: header,
		Auth: httpbackend.Auth{
			Kind: httpbackend.AuthKind(e.Auth.Type), Token: token,
			Username: e.Auth.Username, Password: password, Header: e.Auth.Header,
		},
		TLS: secure, DialTimeout: e.DialTimeout, HeaderTimeout: e.HeaderTimeout,
	}, errors.Join(tokenErr, passwordErr)
}
