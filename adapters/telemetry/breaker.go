package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WatchBreakers adds the state of the endpoints' circuit breakers to the metrics: 0 closed, 1 half-open, 2 open. States
// returns them by endpoint; it is called at every scrape and must not block. WatchBreakers is called once.
func (m *Metrics) WatchBreakers(states func() map[string]int) {
	m.registry.MustRegister(&breakerCollector{
		states: states,
		state: prometheus.NewDesc(namespace+"_breaker_state",
			"Circuit breaker of an endpoint: 0 closed, 1 half-open, 2 open.", []string{"endpoint"}, nil),
	})
}

type breakerCollector struct {
	states func() map[string]int
	state  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *breakerCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.state }

// Collect implements prometheus.Collector.
func (c *breakerCollector) Collect(ch chan<- prometheus.Metric) {
	for endpoint, state := range c.states() {
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, float64(state), endpoint)
	}
}
