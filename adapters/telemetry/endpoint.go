package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// outcomes are the outcome labels known beforehand, and whether the backend was called when an attempt ends so.
var outcomes = []struct {
	label  string
	called bool
}{
	{ports.LabelAnswered, true},
	{string(domain.FailureUnreachable), true},
	{string(domain.FailureTimeout), true},
	{string(domain.FailureBroken), true},
	{string(domain.FailureTooLarge), true},
	{string(domain.FailureInterrupted), true},
	{string(domain.FailureUnsendable), false},
	{ports.LabelUnknownEndpoint, false},
	{ports.LabelDeadline, false},
	{ports.LabelMaxDeliveries, false},
}

// endpointMetrics are the series of one endpoint, looked up once and not at every attempt.
type endpointMetrics struct {
	attempts map[string]prometheus.Counter  // by outcome
	calls    map[string]prometheus.Observer // durations; only outcomes for which the backend was called
	others   *prometheus.CounterVec         // attempts with an outcome that is not in the table, by outcome
	inFlight prometheus.Gauge
}

func newEndpointMetrics(factory promauto.Factory, names []string) (map[string]*endpointMetrics, *endpointMetrics) {
	attempts := factory.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "worker_attempts_total", Help: "Deliveries worked on, by what came of them.",
	}, []string{"endpoint", "outcome"})
	durations := factory.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "worker_processing_duration_seconds", Buckets: callBuckets(),
		Help: "Time that one call of a backend took, response included.",
	}, []string{"endpoint"})
	inFlight := factory.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "worker_in_flight", Help: "Calls of backends under way.",
	}, []string{"endpoint"})

	resolve := func(name string) *endpointMetrics {
		e := &endpointMetrics{
			attempts: make(map[string]prometheus.Counter, len(outcomes)),
			calls:    make(map[string]prometheus.Observer, len(outcomes)),
			others:   attempts.MustCurryWith(prometheus.Labels{"endpoint": name}),
			inFlight: inFlight.WithLabelValues(name),
		}
		for _, outcome := range outcomes {
			e.attempts[outcome.label] = attempts.WithLabelValues(name, outcome.label)
			if outcome.called {
				e.calls[outcome.label] = durations.WithLabelValues(name)
			}
		}
		return e
	}
	endpoints := make(map[string]*endpointMetrics, len(names))
	for _, name := range names {
		endpoints[name] = resolve(name)
	}
	return endpoints, resolve(unknownEndpoint)
}

// callBuckets reach to the default worker.timeout, 300 seconds.
func callBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
}

// endpoint never makes a series: names come from messages.
func (m *Metrics) endpoint(name string) *endpointMetrics {
	if e, ok := m.endpoints[name]; ok {
		return e
	}
	return m.unknown
}

func (e *endpointMetrics) attempted(outcome string, took time.Duration) {
	if counter, ok := e.attempts[outcome]; ok {
		counter.Inc()
	} else {
		e.others.WithLabelValues(outcome).Inc()
	}
	if duration, ok := e.calls[outcome]; ok {
		duration.Observe(took.Seconds())
	}
}

// Backend returns next with its calls counted while they are under way.
func (m *Metrics) Backend(next ports.Backend) ports.Backend {
	return &countedBackend{next: next, metrics: m}
}

type countedBackend struct {
	next    ports.Backend
	metrics *Metrics
}

// Do counts and passes on.
func (b *countedBackend) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	inFlight := b.metrics.endpoint(call.Request.Endpoint).inFlight
	inFlight.Inc()
	defer inFlight.Dec()
	return b.next.Do(ctx, call)
}
