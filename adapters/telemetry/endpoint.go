package telemetry

import (
	"context"
	"sync/atomic"
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

// endpointVectors have the series of all endpoints.
type endpointVectors struct {
	attempts  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec

	unknown *endpointMetrics
	byName  atomic.Pointer[map[string]*endpointMetrics] // replaced, never changed
}

func newEndpointVectors(factory promauto.Factory) *endpointVectors {
	v := &endpointVectors{
		attempts: factory.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "worker_attempts_total", Help: "Deliveries worked on, by outcome.",
		}, []string{"endpoint", "outcome"}),
		durations: factory.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "worker_processing_duration_seconds", Buckets: callBuckets(),
			Help: "Duration of one backend call, including reading the response.",
		}, []string{"endpoint"}),
		inFlight: factory.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "worker_in_flight", Help: "Backend calls in progress.",
		}, []string{"endpoint"}),
	}
	v.unknown = v.series(unknownEndpoint)
	v.byName.Store(&map[string]*endpointMetrics{})
	return v
}

// series returns the series of an endpoint, which begin at zero unless they exist.
func (v *endpointVectors) series(name string) *endpointMetrics {
	e := &endpointMetrics{
		attempts: make(map[string]prometheus.Counter, len(outcomes)),
		calls:    make(map[string]prometheus.Observer, len(outcomes)),
		others:   v.attempts.MustCurryWith(prometheus.Labels{"endpoint": name}),
		inFlight: v.inFlight.WithLabelValues(name),
	}
	for _, outcome := range outcomes {
		e.attempts[outcome.label] = v.attempts.WithLabelValues(name, outcome.label)
		if outcome.called {
			e.calls[outcome.label] = v.durations.WithLabelValues(name)
		}
	}
	return e
}

// name sets which endpoints there are. The series of others end; calls of theirs that run count for nothing any more.
func (v *endpointVectors) name(names []string) {
	before := *v.byName.Load()
	after := make(map[string]*endpointMetrics, len(names))
	for _, name := range names {
		if after[name] = before[name]; after[name] == nil {
			after[name] = v.series(name)
		}
	}
	v.byName.Store(&after)
	for name := range before {
		if after[name] == nil && name != unknownEndpoint {
			labels := prometheus.Labels{"endpoint": name}
			v.attempts.DeletePartialMatch(labels)
			v.durations.Delete(labels)
			v.inFlight.Delete(labels)
		}
	}
}

// NameEndpoints sets the configured names of endpoints. One caller at a time calls it.
func (m *Metrics) NameEndpoints(names []string) { m.endpoints.name(names) }

// callBuckets reach up to the default worker.timeout, 300 seconds.
func callBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
}

// endpoint returns the series of an endpoint. It never creates series, because names come from messages.
func (m *Metrics) endpoint(name string) *endpointMetrics {
	if e, ok := (*m.endpoints.byName.Load())[name]; ok {
		return e
	}
	return m.endpoints.unknown
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
