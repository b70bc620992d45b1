package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openhqm/openhqm/ports"
)

// depthTimeout bounds what a broker that does not answer takes from a scrape.
const depthTimeout = 3 * time.Second

// WatchQueue adds the depth of the queue to the metrics, read at every scrape. It is called once; now tells the time.
func (m *Metrics) WatchQueue(gauge ports.Gauge, now func() time.Time) {
	m.registry.MustRegister(&queueCollector{
		gauge: gauge,
		now:   now,
		depth: prometheus.NewDesc(namespace+"_queue_depth",
			"Requests in the queue: ready to be worked on, delayed, or leased by a worker.", []string{"state"}, nil),
		oldest: prometheus.NewDesc(namespace+"_queue_oldest_age_seconds",
			"For how long the oldest ready request has been ready; 0 when none is.", nil, nil),
		approximate: prometheus.NewDesc(namespace+"_queue_depth_approximate",
			"1 where a broker carries the requests and can only estimate the depth, else 0.", nil, nil),
	})
}

type queueCollector struct {
	gauge         ports.Gauge
	now           func() time.Time
	depth, oldest *prometheus.Desc
	approximate   *prometheus.Desc
}

// Describe names the metrics.
func (c *queueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.depth
	ch <- c.oldest
	ch <- c.approximate
}

// Collect reads the queue. The scrape's own deadline is not known here (the client library hands none on).
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
