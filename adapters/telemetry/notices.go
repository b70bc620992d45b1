package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openhqm/openhqm/ports"
)

// WatchNotices adds how many notices are owed to other programs, by kind. The outboxes are read at every scrape.
// WatchNotices is called once; without outboxes it adds nothing.
func (m *Metrics) WatchNotices(outboxes map[string]ports.Outbox) {
	if len(outboxes) == 0 {
		return
	}
	m.registry.MustRegister(&noticeCollector{
		outboxes: outboxes,
		waiting: prometheus.NewDesc(namespace+"_notices_waiting",
			"Notices that other programs are still to get, by all processes together.", []string{"kind"}, nil),
	})
}

type noticeCollector struct {
	outboxes map[string]ports.Outbox
	waiting  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *noticeCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.waiting }

// Collect implements prometheus.Collector. The client library passes no context of the scrape.
func (c *noticeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	for kind, outbox := range c.outboxes {
		waiting, err := outbox.Waiting(ctx)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.waiting, err)
			return
		}
		ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(waiting), kind)
	}
}
