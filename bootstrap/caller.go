package bootstrap

import (
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/echobackend"
	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

// endpointsNow is what the use-cases read, and what a reload replaces.
type endpointsNow = atomic.Pointer[ports.EndpointSet]

// newUncalled returns the endpoints of a role that calls none. It resolves no secrets.
func newUncalled(config configs.Config) (*endpointsNow, ports.Endpoints) {
	now := new(endpointsNow)
	now.Store(endpointSet(config, nil))
	return now, now
}

// newCalled returns the endpoints of a role that calls them.
func newCalled(config configs.Config, caller *caller) (*endpointsNow, ports.Endpoints, error) {
	next, err := caller.prepare(config)
	if err != nil {
		return nil, nil, err
	}
	now := new(endpointsNow)
	now.Store(endpointSet(config, next.backend))
	next.use()
	return now, now, nil
}

// caller makes the backend of one configuration after the other. Connections of endpoints that are reached as before
// stay. Its methods are called with rotations.mu held, or while the process is being built.
type caller struct {
	name      pseudonym
	maxIdle   int // connections that are kept for each endpoint
	rotations *rotations
	metrics   *telemetry.Metrics
	gates     *worker.Gates

	config    configs.Config               // in use
	client    *httpbackend.Client          // in use; without endpoints where there are none
	endpoints map[string]*endpointRotation // in use, of endpoints that have files
}

// endpointRotation renews the secrets and certificates of an endpoint when their files change.
type endpointRotation struct {
	*rotation

	endpoint configs.Endpoint
}

func newCaller(
	lc fx.Lifecycle, name pseudonym, files descriptors, rotations *rotations, metrics *telemetry.Metrics,
	gates *worker.Gates,
) *caller {
	c := &caller{
		name: name, maxIdle: files.idle, rotations: rotations, metrics: metrics, gates: gates,
		client: new(httpbackend.Client),
	}
	lc.Append(fx.StopHook(func() {
		rotations.mu.Lock()
		defer rotations.mu.Unlock()
		c.client.Close()
	}))
	return c
}

// called is a backend that is ready.
type called struct {
	backend ports.Backend
	use     func() // is called when the backend is in use, instead of the one before
}

// prepare returns the backend of a configuration, or why there can be none. Nothing changes yet.
func (c *caller) prepare(next configs.Config) (called, error) {
	rotations := c.rotationsFor(next)
	raw, client, err := backends[backendOf(next)](c, next)
	if err != nil {
		return called{}, err
	}
	return called{
		// Calls are counted, and their outcomes move the breakers.
		backend: c.gates.Backend(c.metrics.Backend(raw)),
		use: func() {
			c.rotations.replace(plain(c.endpoints), plain(rotations))
			c.client.Retire(client)
			c.config, c.client, c.endpoints = next, client, rotations
		},
	}, nil
}

func (c *caller) newEcho(configs.Config) (ports.Backend, *httpbackend.Client, error) {
	return echobackend.Backend{}, new(httpbackend.Client), nil
}

// newHTTP resolves secrets, so it is only called in roles that call backends.
func (c *caller) newHTTP(next configs.Config) (ports.Backend, *httpbackend.Client, error) {
	endpoints, err := httpEndpoints(next)
	if err != nil {
		return nil, nil, err
	}
	client, err := c.client.Next(httpbackend.Options{
		Endpoints:       endpoints,
		HeaderPolicy:    headerPolicy(next),
		Pseudonym:       string(c.name),
		MaxResponseSize: int64(next.Proxy.MaxResponseSize),
		MaxIdlePerHost:  c.maxIdle,
	}, c.reachedAsBefore(next))
	return client, client, err
}

// reachedAsBefore returns the endpoints whose connections can stay.
func (c *caller) reachedAsBefore(next configs.Config) map[string]bool {
	same := make(map[string]bool, len(next.Proxy.Endpoints))
	for name, e := range next.Proxy.Endpoints {
		before, known := c.config.Proxy.Endpoints[name]
		// With other files, a change of those that stay could have gone unnoticed meanwhile.
		same[name] = known && e.SameConnections(before) && (e.TLS == configs.TLS{} || sameFiles(before, e))
	}
	return same
}

// rotationsFor returns the rotations of the endpoints that have files. Those that look at the same files go on.
func (c *caller) rotationsFor(next configs.Config) map[string]*endpointRotation {
	rotations := make(map[string]*endpointRotation)
	for name, e := range next.Proxy.Endpoints {
		files := e.Files()
		if len(files) == 0 {
			continue
		}
		if before := c.endpoints[name]; before != nil && sameFiles(before.endpoint, e) {
			rotations[name] = &endpointRotation{rotation: before.rotation, endpoint: e}
			continue
		}
		apply := func() error { return c.renew(name) }
		rotations[name] = &endpointRotation{rotation: newRotation("endpoint "+name, files, apply), endpoint: e}
	}
	return rotations
}

// renew makes new calls of an endpoint use what its files hold now.
func (c *caller) renew(name string) error {
	renewed, err := httpEndpoint(name, c.config.Proxy.Endpoints[name])
	if err != nil {
		return err
	}
	return c.client.Renew(renewed)
}

func sameFiles(a, b configs.Endpoint) bool {
	return slices.Equal(slices.Sorted(slices.Values(a.Files())), slices.Sorted(slices.Values(b.Files())))
}

func plain(rotations map[string]*endpointRotation) []*rotation {
	all := make([]*rotation, 0, len(rotations))
	for _, name := range slices.Sorted(maps.Keys(rotations)) {
		all = append(all, rotations[name].rotation)
	}
	return all
}
