package bootstrap

import (
	"slices"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/echobackend"
	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
)

// queues has a line for every queue.type. Each module provides ports.Intake, ports.Work, ports.Results, ports.Gauge,
// ports.DeadLetters and the probes of the components "queue" and "store".
var queues = map[string]func() fx.Option{
	configs.QueueEmbedded: embeddedModule,
	configs.QueueRedis:    redisModule,
	configs.QueueKafka:    kafkaModule,
	configs.QueueSQS:      sqsModule,
}

// carriers has a line for every queue.type that only carries messages, and can be moved. Each provides ports.Carrier.
var carriers = map[string]func() fx.Option{
	configs.QueueKafka: kafkaCarrier,
	configs.QueueSQS:   sqsCarrier,
}

// backends has a line for every kind of backend.
var backends = map[string]func() fx.Option{
	backendHTTP: httpBackendModule,
	backendEcho: echoBackendModule,
}

const (
	backendHTTP = "http"
	backendEcho = "echo"
)

// backendOf returns the kind of backend: the built-in echo while no endpoint is configured.
func backendOf(config configs.Config) string {
	if len(config.Proxy.Endpoints) == 0 {
		return backendEcho
	}
	return backendHTTP
}

func echoBackendModule() fx.Option {
	return fx.Module("echo", fx.Provide(func() rawBackend { return rawBackend{echobackend.Backend{}} }))
}

func httpBackendModule() fx.Option {
	return fx.Module("http", fx.Provide(newHTTPBackend))
}

// newHTTPBackend resolves secrets, so it is only built in roles that call backends.
func newHTTPBackend(
	lc fx.Lifecycle, config configs.Config, name pseudonym, rotations *rotations,
	files descriptors,
) (rawBackend, error) {
	var client *httpbackend.Client
	for name, e := range config.Proxy.Endpoints {
		rotations.add("endpoint "+name, e.Files(), func() error {
			renewed, err := httpEndpoint(name, e)
			if err != nil {
				return err
			}
			return client.Renew(renewed)
		})
	}
	endpoints, err := httpEndpoints(config)
	if err != nil {
		return rawBackend{}, err
	}
	client, err = httpbackend.New(httpbackend.Options{
		Endpoints:       endpoints,
		HeaderPolicy:    headerPolicy(config),
		Pseudonym:       string(name),
		MaxResponseSize: int64(config.Proxy.MaxResponseSize),
		MaxIdlePerHost:  files.idle,
	})
	if err != nil {
		return rawBackend{}, err
	}
	lc.Append(fx.StopHook(client.Close))
	return rawBackend{client}, nil
}

// headerPolicy also forwards the fields that gateways write, whatever proxy.forward_headers says: those of
// proxy.forwarded, and Via, without which a loop over another gateway could not be found.
func headerPolicy(config configs.Config) domain.HeaderPolicy {
	gateways := append(domain.Forwarding(config.Proxy.Forwarded).Names(), domain.HeaderVia)
	return domain.HeaderPolicy{
		Forward: slices.Concat(config.Proxy.ForwardHeaders, gateways),
		Strip:   config.Proxy.StripHeaders,
	}
}
