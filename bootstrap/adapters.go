package bootstrap

import (
	"slices"

	"go.uber.org/fx"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
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

// checks has a line for every queue.type whose adapter knows more of its configuration than the rules in configs.
var checks = map[string]func(configs.Config) error{
	configs.QueueSQS: checkSQS,
}

// backends has a line for every kind of backend: it makes the one of a configuration, with the client that it calls
// through. The client of the configuration before says which connections there are.
var backends = map[string]func(*caller, configs.Config) (ports.Backend, *httpbackend.Client, error){
	backendHTTP: (*caller).newHTTP,
	backendEcho: (*caller).newEcho,
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

// headerPolicy also forwards the fields of proxy.forwarded, whatever proxy.forward_headers says.
func headerPolicy(config configs.Config) domain.HeaderPolicy {
	return domain.HeaderPolicy{
		Forward: slices.Concat(config.Proxy.ForwardHeaders, domain.Forwarding(config.Proxy.Forwarded).Names()),
		Strip:   config.Proxy.StripHeaders,
	}
}
