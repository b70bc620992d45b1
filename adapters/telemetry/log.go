package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WatchLog adds the lines that the log lost to the metrics. It is called once.
func (m *Metrics) WatchLog(w *LogWriter) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "log_lines_lost_total",
		Help: "Lines of the log that were dropped because its reader was too slow or away.",
	}, func() float64 { return float64(w.Lost()) }))
}
