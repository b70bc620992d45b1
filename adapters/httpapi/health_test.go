package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

func well(context.Context) error { return nil }

func TestHealthReportsEveryComponent(t *testing.T) {
	t.Parallel()
	const head = `"version":"1.2.3","timestamp":"2026-03-04T04:06:07.891Z","components":`
	down := func(context.Context) error { return errors.New(`dial "redis"`) }
	limping := func(context.Context) error { return ports.Degraded("nobody reads it") }
	for _, tt := range []struct {
		name   string
		probes map[string]ports.Probe
		status int
		want   string
	}{
		{"nothing to probe", nil, 200, `{"status":"ok",` + head + `{}}`},
		{
			"all well",
			map[string]ports.Probe{"worker": probeFunc(well), "queue": probeFunc(well)},
			200,
			`{"status":"ok",` + head + `{"queue":{"status":"ok"},"worker":{"status":"ok"}}}`,
		},
		{
			"one down",
			map[string]ports.Probe{"store": probeFunc(down), "queue": probeFunc(well)},
			503,
			`{"status":"unavailable",` + head +
				`{"queue":{"status":"ok"},"store":{"status":"unavailable","error":"dial \"redis\""}}}`,
		},
		{
			"one does not do all of its work",
			map[string]ports.Probe{"log": probeFunc(limping), "queue": probeFunc(well)},
			200,
			`{"status":"degraded",` + head +
				`{"log":{"status":"degraded","error":"nobody reads it"},"queue":{"status":"ok"}}}`,
		},
		{
			"one does not do all of its work, and one is down",
			map[string]ports.Probe{"log": probeFunc(limping), "queue": probeFunc(down)},
			503,
			`{"status":"unavailable",` + head + `{"log":{"status":"degraded","error":"nobody reads it"},` +
				`"queue":{"status":"unavailable","error":"dial \"redis\""}}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, func(o *Options) { o.Probes = tt.probes })
			for _, path := range []string{"/health", "/health/ready"} {
				a := r.do("GET", path, "")
				require.Equal(t, tt.status, a.StatusCode)
				require.Equal(t, tt.want, a.body)
				require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			}
			a := r.do("GET", "/health/live", "")
			require.Equal(t, http.StatusOK, a.StatusCode, "a broker that is away is no reason to be killed")
			require.Equal(t, `{"status":"ok"}`, a.body)
		})
	}
}

// detailed is a probe with details.
type detailed struct {
	probeFunc
	details map[string]string
}

func (d detailed) Details() map[string]string { return d.details }

func TestDetailsAreShownAndChangeNothing(t *testing.T) {
	t.Parallel()
	open := map[string]string{"orders": "breaker open", "billing \"b\"": "breaker half-open"}
	const shown = `"details":{"billing \"b\"":"breaker half-open","orders":"breaker open"}`
	for _, tt := range []struct {
		name   string
		worker detailed
		status int
		want   string // of the worker
	}{
		{"nothing to tell", detailed{well, nil}, 200, `{"status":"ok"}`},
		{"open breakers", detailed{well, open}, 200, `{"status":"ok",` + shown + `}`},
		{
			"a component that is down",
			detailed{func(context.Context) error { return errors.New("away") }, open},
			503,
			`{"status":"unavailable","error":"away",` + shown + `}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, func(o *Options) {
				o.Probes = map[string]ports.Probe{"queue": probeFunc(well), "worker": tt.worker}
			})
			for _, path := range []string{"/health", "/health/ready"} {
				a := r.do("GET", path, "")
				require.Equal(t, tt.status, a.StatusCode)
				require.Contains(t, a.body, `"components":{"queue":{"status":"ok"},"worker":`+tt.want+`}}`)
			}
		})
	}
}

// Names of endpoints can be confidential, and probes have no keys.
func TestDetailsAreForAdministrators(t *testing.T) {
	t.Parallel()
	open := detailed{well, map[string]string{"orders": "breaker open"}}
	r := start(t, &fakes{}, func(o *Options) {
		o.Access.Keys, o.AdminAddress, o.Probes = testKeys(), "127.0.0.1:0", map[string]ports.Probe{"worker": open}
	})
	for _, path := range []string{"/health", "/health/ready"} {
		public, admin := r.do("GET", path, ""), r.admin().do("GET", path, "")
		require.Equal(t, http.StatusOK, public.StatusCode)
		require.Contains(t, public.body, `"components":{"worker":{"status":"ok"}}}`)
		require.Equal(t, http.StatusOK, admin.StatusCode)
		require.Contains(t, admin.body, `"details":{"orders":"breaker open"}`)
	}
}

func TestDrainTurnsReadinessOff(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	require.Equal(t, http.StatusOK, r.do("GET", "/health/ready", "").StatusCode)
	r.server.Drain()
	r.server.Drain()
	a := r.do("GET", "/health/ready", "")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Contains(t, a.body, `{"status":"draining"`)
	require.True(t, a.Close, "clients are to find another one")
	require.Equal(t, http.StatusOK, r.do("GET", "/health", "").StatusCode)
	require.Equal(t, http.StatusOK, r.do("GET", "/health/live", "").StatusCode)
	require.Equal(t, http.StatusAccepted, r.do("POST", "/api/v1/submit", `{}`).StatusCode, "requests are still served")
	<-given
}

func TestOneReportServesAllWhoAsk(t *testing.T) {
	t.Parallel()
	var probed atomic.Int64
	now := testNow
	h := newHealth("", map[string]ports.Probe{"queue": probeFunc(func(context.Context) error {
		probed.Add(1)
		return nil
	})}, func() time.Time { return now })
	var asking sync.WaitGroup
	for range 100 {
		asking.Go(func() { h.check() })
	}
	asking.Wait()
	require.EqualValues(t, 1, probed.Load())
	now = now.Add(reportLife)
	h.check()
	require.EqualValues(t, 2, probed.Load(), "an old report is replaced")
}

func TestProbesRunSideBySide(t *testing.T) {
	t.Parallel()
	var together sync.WaitGroup
	together.Add(2)
	meet := probeFunc(func(context.Context) error {
		together.Done()
		together.Wait()
		return nil
	})
	h := newHealth("", map[string]ports.Probe{"queue": meet, "store": meet}, time.Now)
	require.Equal(t, healthOK, h.check().status())
}

func TestProbeHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHealth("", map[string]ports.Probe{"queue": probeFunc(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})}, time.Now)
		began := time.Now()
		require.Equal(t, healthDown, h.check().status())
		require.Equal(t, probeTimeout, time.Since(began))
		synctest.Wait()
		require.Equal(t, healthDown, h.check().status())
		require.Equal(t, probeTimeout, time.Since(began), "those who waited share the report")
	})
}

func TestProbeThatHangsIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var probed atomic.Int64
		release := make(chan struct{})
		h := newHealth("", map[string]ports.Probe{"queue": probeFunc(func(context.Context) error {
			probed.Add(1)
			<-release
			return nil
		})}, time.Now)
		for range 3 {
			r := h.check()
			require.ErrorIs(t, r.errors[0], errNoAnswer)
			<-time.After(reportLife)
		}
		require.EqualValues(t, 1, probed.Load())
		close(release)
		synctest.Wait()
		require.Equal(t, healthOK, h.check().status(), "it recovers")
		require.EqualValues(t, 2, probed.Load())
	})
}

func TestLongProbeErrorIsShortened(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, func(o *Options) {
		o.Probes = map[string]ports.Probe{"queue": probeFunc(func(context.Context) error {
			return errors.New(strings.Repeat("x", 10_000))
		})}
	})
	require.Less(t, len(r.do("GET", "/health", "").body), 500)
}
