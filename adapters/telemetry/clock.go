package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WatchClock adds to the metrics by how much the clock of the store is ahead of ours. Skew is called at every scrape
// and must not block. WatchClock is called once.
func (m *Metrics) WatchClock(skew func() time.Duration) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "clock_skew_seconds",
		Help: "How much the clock of Redis is ahead of the clock of this process; less than 0 when it is behind.",
	}, func() float64 { return skew().Seconds() }))
}
