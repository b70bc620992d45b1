package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain/envelope/rawjson"
	"github.com/openhqm/openhqm/ports"
)

const (
	probeTimeout  = 2 * time.Second
	reportLife    = time.Second // how long a report is reused
	maxProbeError = 200         // bytes
)

const (
	healthPath = "/health"
	livePath   = healthPath + "/live"
	readyPath  = healthPath + "/ready"
)

// The values of status in health documents.
const (
	healthOK       = "ok"
	healthDegraded = "degraded" // it works, but not for everything
	healthDown     = "unavailable"
	healthDraining = "draining"
)

var errNoAnswer = errors.New("no answer within " + probeTimeout.String())

// health probes the components. Callers share reports, so that frequent checks cost a broker nothing.
type health struct {
	version string
	now     func() time.Time

	mu         sync.Mutex // held while probing, which probeTimeout bounds
	components []*component
	last       report
}

// component is probed separately.
type component struct {
	name  string
	probe ports.Probe
	busy  atomic.Bool // a probe is running, perhaps one that hangs
}

// report holds the results of all probes. It is immutable.
type report struct {
	at         time.Time
	components []*component
	errors     []error // aligned with the components; nil is ok, ports.Degraded is not all of it

	details []map[string]string // aligned with the components; nil unless they are ports.Detailed
}

func newHealth(version string, probes map[string]ports.Probe, now func() time.Time) *health {
	h := &health{version: version, now: now}
	h.set(probes)
	return h
}

// set replaces the components.
func (h *health) set(probes map[string]ports.Probe) {
	components := make([]*component, 0, len(probes))
	for _, name := range slices.Sorted(maps.Keys(probes)) {
		components = append(components, &component{name: name, probe: probes[name]})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.components, h.last = components, report{}
}

// check returns a report that is at most reportLife old. It blocks for at most probeTimeout, or twice that when another
// check is running.
func (h *health) check() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.at.IsZero() || h.now().Sub(h.last.at) >= reportLife {
		errs := h.probeAll()
		// Its age counts from the end, as probing may take longer than reportLife.
		h.last = report{at: h.now(), components: h.components, errors: errs, details: h.detailAll()}
	}
	return h.last
}

// probeAll probes all components at once. It has its own context, because the report outlives the caller.
func (h *health) probeAll() []error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	errs := make([]error, len(h.components))
	var probes sync.WaitGroup
	for i, component := range h.components {
		probes.Go(func() { errs[i] = component.check(ctx) })
	}
	probes.Wait()
	return errs
}

// detailAll returns the details of the components that have some.
func (h *health) detailAll() []map[string]string {
	details := make([]map[string]string, len(h.components))
	for i, component := range h.components {
		if detailed, ok := component.probe.(ports.Detailed); ok {
			details[i] = detailed.Details()
		}
	}
	return details
}

// check probes once. It abandons a probe that has not returned when ctx ends, and starts no other until it returns, so
// that at most one hangs.
func (c *component) check(ctx context.Context) error {
	if !c.busy.CompareAndSwap(false, true) {
		return errNoAnswer
	}
	answer := make(chan error, 1)
	go func() {
		err := c.probe.Probe(ctx)
		c.busy.Store(false)
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errNoAnswer
	}
}

// status returns the state of all components together.
func (r report) status() string {
	status := healthOK
	for _, err := range r.errors {
		switch stateOf(err) {
		case healthDown:
			return healthDown
		case healthDegraded:
			status = healthDegraded
		}
	}
	return status
}

// stateOf returns the state of a component whose probe returned err.
func stateOf(err error) string {
	switch _, degraded := errors.AsType[ports.Degraded](err); {
	case err == nil:
		return healthOK
	case degraded:
		return healthDegraded
	default:
		return healthDown
	}
}

// document describes a report, with an overall status.
func (h *health) document(status string, r report) []byte {
	o := newDocument(smallDocument)
	o.Text("status", status)
	o.Text("version", h.version)
	o.Time("timestamp", r.at)
	o.Open("components")
	for i, component := range r.components {
		o.Open(component.name)
		addState(o, r.errors[i], r.details[i])
		o.End()
	}
	o.End()
	return o.Close()
}

// addState describes one component. Details do not affect its status.
func addState(o *rawjson.Writer, err error, details map[string]string) {
	o.Text("status", stateOf(err))
	if err != nil {
		text := err.Error()
		o.Text("error", text[:min(len(text), maxProbeError)])
	}
	if len(details) > 0 {
		addTexts(o, "details", details)
	}
}

// overall returns the state of every component: GET /health.
func (a *api) overall(c *gin.Context) error {
	r := a.health.check()
	a.respondHealth(c, r, r.status())
	return nil
}

// ready reports whether to send requests here: GET /health/ready.
func (a *api) ready(c *gin.Context) error {
	r := a.health.check()
	status := r.status()
	if a.draining.Err() != nil {
		status = healthDraining
	}
	a.respondHealth(c, r, status)
	return nil
}

// live reports that the process runs, whatever the state of its brokers: GET /health/live.
func (a *api) live(c *gin.Context) error {
	o := newDocument(smallDocument)
	o.Text("status", healthOK)
	a.respond(c, http.StatusOK, jsonType, o.Close())
	return nil
}

// respondHealth answers 200 where requests are welcome, even if not everything works, and 503 elsewhere.
func (a *api) respondHealth(c *gin.Context, r report, status string) {
	if !a.trusted(c) {
		r.details = make([]map[string]string, len(r.details))
	}
	code := http.StatusOK
	if status == healthDown || status == healthDraining {
		code = http.StatusServiceUnavailable
	}
	a.respond(c, code, jsonType, a.health.document(status, r))
}

// trusted reports whether the caller may see the names of endpoints: with keys, only on the administrative address.
func (a *api) trusted(c *gin.Context) bool {
	caller, known := c.Value(callerKey).(*ports.Caller)
	return len(a.access.Load().Keys) == 0 || known && caller.Admin
}
