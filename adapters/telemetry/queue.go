package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openhqm/openhqm/ports"
)

// depthTimeout bounds the time of a scrape that is spent on a broker which does not answer.
const depthTimeout = 3 * time.Second

// WatchQueue adds the depth of the queue to the metrics. Gauge is read at every scrape. WatchQueue is called once.
func (m *Metrics) WatchQueue(gauge ports.Gauge, now func() time.Time) {
	m.registry.MustRegister(&queueCollector{
		gauge: gauge,
		now:   now,
		depth: prometheus.NewDesc(namespace+"_queue_depth",
			"Requests in the queue: ready to be worked on, delayed, or leased by a worker.", []string{"state"}, nil),
		oldest: prometheus.NewDesc(namespace+"_queue_oldest_age_seconds",
			"How long the oldest ready request has been ready; 0 when none is.", nil, nil),
		approximate: prometheus.NewDesc(namespace+"_queue_depth_approximate",
			"1 when the broker can only estimate the depth, else 0.", nil, nil),
	})
}

type queueCollector struct {
	gauge         ports.Gauge
	now           func() time.Time
	depth, oldest *prometheus.Desc
	approximate   *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.depth
	ch <- c.oldest
	ch <- c.approximate
}

// Collect implements prometheus.Collector. The client library passes no context of the scrape.
func (c *queueCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	depths, err := c.gauge.Depths(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.depth, err)
		return
	}
	var age float64
	if !depths.OldestReady.IsZero() {
		age = max(c.now().Sub(depths.OldestReady), 0).Seconds()
	}
	ch <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(depths.Ready), "ready")
	ch <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(depths.Delayed), "delayed")
	ch <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(depths.Leased), "leased")
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, age)
	approximate := 0.0
	if depths.Approximate {
		approximate = 1
	}
	ch <- prometheus.MustNewConstMetric(c.approximate, prometheus.GaugeValue, approximate)
}
