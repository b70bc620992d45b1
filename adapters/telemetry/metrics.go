// Package telemetry makes the gateway observable: logs with log/slog, metrics for Prometheus.
package telemetry

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const namespace = "openhqm"

// Limits of scrapes, because anybody may ask for them. By default Prometheus gives up after ten seconds.
const (
	maxScrapes    = 8
	scrapeTimeout = 10 * time.Second
)

// Label values in place of names that clients choose: those must not become labels, because there is no end of them.
const (
	unknownEndpoint = "unknown"
	other           = "other"
)

// Options configure Metrics.
type Options struct {
	Version   string
	Endpoints []string     // configured names; only they become label values
	Logger    *slog.Logger // gets what a scrape could not read; required
}

// Metrics holds all metrics of the process in a registry of its own. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger

	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec
	published       *prometheus.CounterVec
	deadLetters     *prometheus.CounterVec
	age             *prometheus.HistogramVec

	endpoints map[string]*endpointMetrics // by name; never changed, so no lock
	unknown   *endpointMetrics
}

// NewMetrics returns Metrics with everything but the queue (see WatchQueue) and the breakers (see WatchBreakers).
// Series whose labels are known in advance begin at zero, so that rate() counts their first event and an alert on it
// fires.
func NewMetrics(o Options) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	factory := promauto.With(registry)
	m := &Metrics{
		registry: registry,
		log:      o.Logger,
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "api_requests_total", Help: "HTTP requests answered.",
		}, []string{"method", "route", "code"}),
		requestDuration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "api_request_duration_seconds", Buckets: apiBuckets(),
			Help: "Time from reading an HTTP request to having answered it, including the wait for a result.",
		}, []string{"route"}),
		published: factory.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "queue_publish_total", Help: "Requests offered to the queue.",
		}, []string{"result"}),
		deadLetters: factory.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "queue_dlq_total", Help: "Requests that became dead letters.",
		}, []string{"reason"}),
		age: factory.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_age_seconds", Buckets: ageBuckets(),
			Help: "Time from the submission of a request to its final result.",
		}, []string{"status"}),
	}
	factory.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": o.Version, "go_version": runtime.Version()},
	}).Set(1)
	m.endpoints, m.unknown = newEndpointMetrics(factory, o.Endpoints)
	m.startAtZero()
	return m
}

// apiBuckets reach from a quick submit up to the longest wait, 60 seconds.
func apiBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// ageBuckets reach from an immediate result up to the default request.max_age, 72 hours.
func ageBuckets() []float64 {
	const minute, hour = 60, 3600
	return []float64{
		.005, .01, .05, .1, .5, 1, 5, 15,
		minute, 5 * minute, 15 * minute, hour, 6 * hour, 24 * hour, 72 * hour,
	}
}

func (m *Metrics) startAtZero() {
	for _, result := range publishResults {
		m.published.WithLabelValues(result.label)
	}
	m.published.WithLabelValues(publishAccepted)
	m.published.WithLabelValues(publishError)
	for _, reason := range []domain.Reason{
		domain.ReasonAttempts, domain.ReasonDeadline, domain.ReasonRejected,
		domain.ReasonMaxDeliveries, domain.ReasonUndecodable, domain.ReasonTooLarge,
	} {
		m.deadLetters.WithLabelValues(string(reason))
	}
	for _, status := range []domain.Status{domain.Completed, domain.Failed, domain.TimedOut, domain.Cancelled} {
		m.age.WithLabelValues(string(status))
	}
}

// Handler serves the metrics as Prometheus text. What cannot be read, for example the depth of a queue that is away, is
// logged and left out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            m.registry,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// Requested counts an answered HTTP request. The route is a pattern, never a path; empty: no route matched.
func (m *Metrics) Requested(method, route string, code int, took time.Duration) {
	if route == "" {
		route = other
	}
	m.requests.WithLabelValues(methodLabel(method), route, strconv.Itoa(code)).Inc()
	m.requestDuration.WithLabelValues(route).Observe(took.Seconds())
}

// methodLabel bounds the number of labels: a client may send any token as a method.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return other
	}
}

// Values of the label "result" of queue_publish_total, besides publishResults.
const (
	publishAccepted = "accepted"
	publishError    = "error"
)

var publishResults = []struct {
	err   error
	label string
}{
	{ports.ErrFull, "full"},
	{ports.ErrStorageLow, "storage_low"},
	{ports.ErrUnavailable, "unavailable"},
	{ports.ErrClosed, "closed"},
	{ports.ErrMismatch, "mismatch"},
}

func publishLabel(err error) string {
	if err == nil {
		return publishAccepted
	}
	for _, result := range publishResults {
		if errors.Is(err, result.err) {
			return result.label
		}
	}
	return publishError
}
