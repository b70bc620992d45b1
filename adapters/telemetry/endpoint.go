package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// outcomes are the outcome labels known in advance, and whether the backend was called for such an attempt.
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
	{string(domain.FailureShortage), false},
	{ports.LabelUnknownEndpoint, false},
	{ports.LabelDeadline, false},
	{ports.LabelMaxDeliveries, false},
}

// endpointMetrics are the series of one endpoint, looked up once rather than at every attempt.
type endpointMetrics struct {
	attempts map[string]prometheus.Counter  // by outcome
	calls    map[string]prometheus.Observer // durations, by outcomes for which the backend was called
	others   *prometheus.CounterVec         // attempts with other outcomes, by outcome
	inFlight prometheus.Gauge
}

func newEndpointMetrics(factory promauto.Factory, names []string) (map[string]*endpointMetrics, *endpointMetrics) {
	attempts := factory.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "worker_attempts_total", Help: "Deliveries worked on, by outcome.",
	}, []string{"endpoint", "outcome"})
	durations := factory.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "worker_processing_duration_seconds", Buckets: callBuckets(),
		Help: "Duration of one backend call, including reading the response.",
	}, []string{"endpoint"})
	inFlight := factory.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "worker_in_flight", Help: "Backend calls in progress.",
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

// callBuckets reach up to the default worker.timeout, 300 seconds.
func callBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
}

// endpoint returns the series of an endpoint. It never creates series, because names come from messages.
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

// Backend returns a Backend that calls next and counts its calls in progress.
func (m *Metrics) Backend(next ports.Backend) ports.Backend {
	return &countedBackend{next: next, metrics: m}
}

type countedBackend struct {
	next    ports.Backend
	metrics *Metrics
}

// Do implements ports.Backend.
func (b *countedBackend) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	inFlight := b.metrics.endpoint(call.Request.Endpoint).inFlight
	inFlight.Inc()
	defer inFlight.Dec()
	return b.next.Do(ctx, call)
}
