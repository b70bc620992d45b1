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

// headerPolicy also forwards the fields of proxy.forwarded, whatever proxy.forward_headers says.
func headerPolicy(config configs.Config) domain.HeaderPolicy {
	return domain.HeaderPolicy{
		Forward: slices.Concat(config.Proxy.ForwardHeaders, domain.Forwarding(config.Proxy.Forwarded).Names()),
		Strip:   config.Proxy.StripHeaders,
	}
}
