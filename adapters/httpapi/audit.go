package httpapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/ports"
)

// Where gin keeps what an administrative call was about.
const (
	filterKey = "filter" // a slog.Value
	countKey  = "count"  // how many things were read or changed
)

// noteFilter notes what an administrative call chooses by.
func noteFilter(c *gin.Context, filter *ports.DeadLetterFilter) {
	attrs := []slog.Attr{slog.Int("limit", filter.Limit)}
	if filter.Endpoint != "" {
		attrs = append(attrs, slog.String("endpoint", clip(filter.Endpoint)))
	}
	if filter.Reason != "" {
		attrs = append(attrs, slog.String("reason", clip(string(filter.Reason))))
	}
	if !filter.Before.FailedAt.IsZero() {
		attrs = append(attrs, slog.Time("before", filter.Before.FailedAt))
	}
	c.Set(filterKey, slog.GroupValue(attrs...))
}

// audit logs each administrative call: who, from where, what, and how many. It comes after authentication.
func (a *api) audit(c *gin.Context) {
	c.Next()
	attrs := []slog.Attr{
		slog.String("caller", callerName(c)), slog.String("client", a.opts.TrustedProxies.asker(c.Request).String()),
		slog.String("method", knownMethod(c.Request.Method)), slog.String("route", a.route(c)),
		slog.Int("status_code", c.Writer.Status()),
	}
	if id := c.Param("id"); id != "" {
		attrs = append(attrs, slog.String("correlation_id", clip(id)))
	}
	for _, key := range []string{filterKey, countKey} {
		if value, ok := c.Get(key); ok {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	a.opts.Logger.LogAttrs(c.Request.Context(), slog.LevelInfo, "administration", attrs...)
}

// callerName is the name of the key, or says that none was needed.
func callerName(c *gin.Context) string {
	if name := callerOf(c).Name; name != "" {
		return name
	}
	return "(no key)"
}

// clip bounds what a log line has of a request.
func clip(text string) string { return text[:min(len(text), maxDetail)] }

// refusalPause is the shortest time between two log lines about refusals of one kind: strangers decide how many there
// are.
const refusalPause = time.Minute

// refusals logs calls that were refused because of who made them.
type refusals struct {
	mu     sync.Mutex
	logged map[int]time.Time // by status: the last line
	unsaid map[int]int       // by status: refusals since then
}

func newRefusals() *refusals {
	return &refusals{logged: make(map[int]time.Time), unsaid: make(map[int]int)}
}

// note returns how many refusals the caller should log as one line now, this one included; 0: log nothing.
func (r *refusals) note(status int, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaid[status]++
	if last, known := r.logged[status]; known && now.Sub(last) < refusalPause {
		return 0
	}
	n := r.unsaid[status]
	r.logged[status], r.unsaid[status] = now, 0
	return n
}

// logRefusal logs that a caller was refused.
func (a *api) logRefusal(c *gin.Context, p *problem) {
	switch p.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest:
	default:
		return
	}
	caller, known := c.Value(callerKey).(*ports.Caller)
	if known && caller.Name != "" { // one of ours that tries what it may not
		a.opts.Logger.WarnContext(c.Request.Context(), "caller refused", "reason", p.code, "caller", caller.Name,
			"client", a.opts.TrustedProxies.asker(c.Request).String(),
			"method", knownMethod(c.Request.Method), "route", a.route(c))
		return
	}
	if n := a.refusals.note(p.status, a.opts.Now()); n > 0 {
		a.opts.Logger.WarnContext(c.Request.Context(), "callers refused", "reason", p.code, "times", n,
			"last_client", a.opts.TrustedProxies.asker(c.Request).String(),
			"method", knownMethod(c.Request.Method), "route", a.route(c))
	}
}
