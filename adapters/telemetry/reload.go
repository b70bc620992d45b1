package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// reloads says how the last reading of the configuration went, with the names that Prometheus has for its own.
type reloads struct {
	successful prometheus.Gauge
	timestamp  prometheus.Gauge
}

// newReloads counts the start of the process as the first reading.
func newReloads(factory promauto.Factory) *reloads {
	r := &reloads{
		successful: factory.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful",
			Help: "Whether the configuration was without a fault when it was last read: 1 or 0.",
		}),
		timestamp: factory.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last read without a fault, in seconds since 1970.",
		}),
	}
	r.successful.Set(1)
	r.timestamp.SetToCurrentTime()
	return r
}

// Reloaded notes that the configuration was read again at a time, and whether that was of use.
func (m *Metrics) Reloaded(successful bool, at time.Time) {
	if !successful {
		m.reloads.successful.Set(0)
		return
	}
	m.reloads.successful.Set(1)
	m.reloads.timestamp.Set(float64(at.UnixMilli()) / float64(time.Second/time.Millisecond))
}
