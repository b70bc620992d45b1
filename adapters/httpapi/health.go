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
	reportLife    = time.Second // how long one report serves everybody who asks
	maxProbeError = 200         // bytes
)

const healthPath = "/health"

// Words of the health documents.
const (
	healthOK       = "ok"
	healthDown     = "unavailable"
	healthDraining = "draining"
)

var errNoAnswer = errors.New("no answer within " + probeTimeout.String())

// health probes the components, for all callers together: asking often costs a broker nothing.
type health struct {
	version    string
	now        func() time.Time
	components []*component

	mu   sync.Mutex // held while probing, which probeTimeout bounds
	last report
}

// component is a part that is probed by itself.
type component struct {
	name  string
	probe ports.Probe
	busy  atomic.Bool // a probe is under way, perhaps one that hangs
}

// report is what the probes said. It does not change.
type report struct {
	at     time.Time
	errors []error // aligned with the components; nil is well

	details []map[string]string // aligned with the components; of those that are ports.Detailed
}

func newHealth(version string, probes map[string]ports.Probe, now func() time.Time) *health {
	h := &health{version: version, now: now}
	for _, name := range slices.Sorted(maps.Keys(probes)) {
		h.components = append(h.components, &component{name: name, probe: probes[name]})
	}
	return h
}

// check gives a report that is at most reportLife old. It blocks for probeTimeout at most, plus the same for a check of
// somebody else that is under way.
func (h *health) check() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last.at.IsZero() || h.now().Sub(h.last.at) >= reportLife {
		errs := h.probeAll()
		// The life counts from the end: probing may take longer than that.
		h.last = report{at: h.now(), errors: errs, details: h.detailAll()}
	}
	return h.last
}

// probeAll asks all components at once. The context is nobody's: the report outlives the caller who happened to ask.
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

// detailAll asks the components that have more to tell.
func (h *health) detailAll() []map[string]string {
	details := make([]map[string]string, len(h.components))
	for i, component := range h.components {
		if detailed, ok := component.probe.(ports.Detailed); ok {
			details[i] = detailed.Details()
		}
	}
	return details
}

// check probes once, and leaves a probe that does not come back when ctx ends. While it hangs no other is started, or
// each report would leave one more.
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

// ok reports whether all components are well.
func (r report) ok() bool {
	return !slices.ContainsFunc(r.errors, func(err error) bool { return err != nil })
}

// document describes a report under an overall status.
func (h *health) document(status string, r report) []byte {
	o := newDocument(smallDocument)
	o.Text("status", status)
	o.Text("version", h.version)
	o.Time("timestamp", r.at)
	o.Open("components")
	for i, component := range h.components {
		o.Open(component.name)
		addState(o, r.errors[i], r.details[i])
		o.End()
	}
	o.End()
	return o.Close()
}

// addState describes one component. Details are told of one that works, too, and change nothing about that.
func addState(o *rawjson.Writer, err error, details map[string]string) {
	if err == nil {
		o.Text("status", healthOK)
	} else {
		text := err.Error()
		o.Text("status", healthDown)
		o.Text("error", text[:min(len(text), maxProbeError)])
	}
	if len(details) > 0 {
		addTexts(o, "details", details)
	}
}

// overall tells how every component is: GET /health.
func (a *api) overall(c *gin.Context) error {
	a.respondHealth(c, a.health.check(), healthOK)
	return nil
}

// ready tells whether to send requests here: GET /health/ready.
func (a *api) ready(c *gin.Context) error {
	status := healthOK
	if a.draining.Err() != nil {
		status = healthDraining
	}
	a.respondHealth(c, a.health.check(), status)
	return nil
}

// live tells that the process runs and answers, whatever its brokers do: GET /health/live.
func (a *api) live(c *gin.Context) error {
	o := newDocument(smallDocument)
	o.Text("status", healthOK)
	a.respond(c, http.StatusOK, jsonType, o.Close())
	return nil
}

// respondHealth answers 200 when status and report are both well.
func (a *api) respondHealth(c *gin.Context, r report, status string) {
	if status == healthOK && !r.ok() {
		status = healthDown
	}
	if !a.trusted(c) {
		r.details = make([]map[string]string, len(r.details))
	}
	code := http.StatusOK
	if status != healthOK {
		code = http.StatusServiceUnavailable
	}
	a.respond(c, code, jsonType, a.health.document(status, r))
}

// trusted tells whether whoever asks may know the endpoints by name: with keys, only on the administrative address.
func (a *api) trusted(c *gin.Context) bool {
	caller, known := c.Value(callerKey).(*ports.Caller)
	return len(a.opts.Keys) == 0 || known && caller.Admin
}
