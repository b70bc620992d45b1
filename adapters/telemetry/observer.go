package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// headerCorrelation is the field of the client's own id for its request, as domain.Header spells it.
const headerCorrelation = "X-Correlation-Id"

// Limits, in bytes, of names and texts from clients and backends in a log line. Longer ones are cut.
const (
	maxNameLogged  = 128
	maxErrorLogged = 1024
)

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// Observer implements ports.Observer: it logs one line for every attempt, and counts events. It logs nothing of bodies,
// paths, queries or headers, except the client's X-Correlation-ID.
type Observer struct {
	log     *slog.Logger
	metrics *Metrics
}

// NewObserver returns an Observer that is safe for concurrent use. It blocks only as long as log does.
func NewObserver(log *slog.Logger, metrics *Metrics) *Observer {
	return &Observer{log: log, metrics: metrics}
}

var _ ports.Observer = (*Observer)(nil)

// Submitted implements ports.Observer.
func (o *Observer) Submitted(_ context.Context, err error) {
	o.metrics.published.WithLabelValues(publishLabel(err)).Inc()
}

// Attempted implements ports.Observer.
func (o *Observer) Attempted(ctx context.Context, a ports.Attempted) {
	o.metrics.endpoint(a.Endpoint).attempted(a.Label, a.Outcome.ProcessingTime)
	level := levelOf(&a)
	if !o.log.Enabled(ctx, level) {
		return
	}
	var room [12]slog.Attr // on the stack
	o.log.LogAttrs(ctx, level, "attempt", appendAttrs(room[:0], &a)...)
}

// Ended implements ports.Observer.
func (o *Observer) Ended(rec domain.Record) {
	age := max(rec.UpdatedAt.Sub(rec.SubmittedAt), 0) // the clock of another process may be ahead of ours
	o.metrics.age.WithLabelValues(string(rec.Status)).Observe(age.Seconds())
	if rec.Status.DeadLettered() && rec.Result != nil {
		o.metrics.deadLetters.WithLabelValues(string(rec.Result.Reason)).Inc()
	}
}

// levelOf returns warn for everything that an operator may want to look into. A shortage of our own would fill the log:
// the gate of the endpoint logs it, once.
func levelOf(a *ports.Attempted) slog.Level {
	switch {
	case a.Outcome.Status == domain.Completed:
		return slog.LevelInfo
	case a.Label == string(domain.FailureShortage):
		return slog.LevelDebug
	default:
		return slog.LevelWarn
	}
}

func appendAttrs(attrs []slog.Attr, a *ports.Attempted) []slog.Attr {
	out := &a.Outcome
	attrs = append(attrs,
		slog.String("correlation_id", string(a.Request.ID)),
		slog.String("endpoint", clean(a.Request.Endpoint)),
		slog.Int("attempt", a.Attempt),
		slog.Int("deliveries", a.Deliveries),
		slog.String("outcome", a.Label),
		slog.String("status", string(out.Status)),
		slog.Float64("processing_time_ms", milliseconds(out.ProcessingTime)),
	)
	if a.StatusCode != 0 {
		attrs = append(attrs, slog.Int("status_code", a.StatusCode))
	}
	if a.Address != "" {
		attrs = append(attrs, slog.String("backend", a.Address))
	}
	if out.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(out.Reason)))
	}
	if !out.NextAttemptAt.IsZero() {
		attrs = append(attrs, slog.String("next_attempt_at", out.NextAttemptAt.UTC().Format(timeFormat)))
	}
	if out.Error != "" {
		attrs = append(attrs, slog.String("error", cut(out.Error, maxErrorLogged)))
	}
	if id := a.Request.Header.Get(headerCorrelation); id != "" && id != string(a.Request.ID) {
		attrs = append(attrs, slog.String("client_correlation_id", clean(id)))
	}
	return attrs
}

// milliseconds returns d with microseconds as a fraction: many backends respond within a millisecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(time.Millisecond/time.Microsecond)
}

// clean makes a name from outside safe for a log line: it is cut, and only printable ASCII stays.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, cut(name, maxNameLogged))
}

func cut(text string, limit int) string { return text[:min(len(text), limit)] }
