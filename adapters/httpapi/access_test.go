package httpapi

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// gated stands for the use-cases, whose record belongs to "shop" and whose endpoint is "orders".
type gated struct{}

func (gated) Check(s ports.Submission) error {
	if len(s.Caller.Endpoints) > 0 && !slices.Contains(s.Caller.Endpoints, "orders") {
		return ports.ErrForbidden
	}
	return nil
}

func (g gated) Submit(_ context.Context, s ports.Submission) (ports.Receipt, error) {
	return ports.Receipt{ID: testID}, g.Check(s)
}

func (gated) State(_ context.Context, caller ports.Caller, _ domain.ID) (domain.Record, error) {
	if caller.Name != "shop" && !caller.Admin {
		return domain.Record{}, ports.ErrNotFound
	}
	return domain.Record{ID: testID, Status: domain.Cancelled, Owner: "shop"}, nil
}

func (g gated) Wait(
	ctx context.Context, caller ports.Caller, id domain.ID, _ time.Duration,
) (domain.Record, error) {
	return g.State(ctx, caller, id)
}

func (g gated) Find(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	return g.State(ctx, caller, id)
}

func (g gated) Cancel(ctx context.Context, caller ports.Caller, id domain.ID) (domain.Record, error) {
	return g.State(ctx, caller, id)
}

// testKey is a key whose text is its name.
func testKey(name string, change ...func(*ports.Caller)) Key {
	key := Key{SHA256: sha256.Sum256([]byte(name)), Caller: ports.Caller{Name: name}}
	for _, c := range change {
		c(&key.Caller)
	}
	return key
}

func testKeys() []Key {
	return []Key{
		testKey("shop"),
		testKey("stranger"),
		testKey("limited", func(c *ports.Caller) { c.Endpoints = []string{"notify"} }),
		testKey("ops", func(c *ports.Caller) { c.Admin = true }),
	}
}

// gate makes a server with both addresses and everything behind it.
func gate(opts *Options) {
	opts.AdminAddress = "127.0.0.1:0"
	opts.Backups = backups{}
	opts.Submitter, opts.Poller, opts.Canceller = gated{}, gated{}, gated{}
	withDeadLetters(&deadLetterFakes{
		list: func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
			return ports.DeadLetterPage{}, nil
		},
		find:   func(domain.ID) (domain.DeadLetter, error) { return testDeadLetter(), nil },
		remove: func(domain.ID) error { return nil },
		resend: func(domain.ID) (ports.Resent, error) { return ports.Resent{ID: newTestID}, nil },
		resendMany: func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error) {
			return ports.ResentPage{}, nil
		},
	})(opts)
}

// keyed is a gate with keys.
func keyed(opts *Options) {
	gate(opts)
	opts.Keys = testKeys()
}

// passing advances time, so that wrong keys are not rate-limited.
func passing(opts *Options) {
	var seconds atomic.Int64
	opts.Now = func() time.Time { return testNow.Add(time.Duration(seconds.Add(1)) * time.Second) }
}

// visitor is somebody who comes to one of the addresses, with or without a key.
type visitor struct {
	name  string
	rig   *rig
	field []string // the header fields it sends
}

func visitors(t *testing.T) []visitor {
	t.Helper()
	open, closed := start(t, &fakes{}, gate), start(t, &fakes{}, keyed, passing)
	with := func(keys ...string) (fields []string) {
		for _, key := range keys {
			fields = append(fields, "X-OpenHQM-Key", key)
		}
		return fields
	}
	return []visitor{
		{"no keys configured", open, nil},
		{"no keys configured, one sent", open, with("anything")},
		{"no key", closed, nil},
		{"wrong key", closed, with("shop2")},
		{"two keys", closed, with("shop", "ops")},
		{"owner", closed, with("shop")},
		{"another key", closed, with("stranger")},
		{"key for another endpoint", closed, with("limited")},
		{"admin key", closed, with("ops")},
		{"admin address", closed.admin(), nil},
		{"admin address, wrong key", closed.admin(), with("shop2")},
		{"admin address, no keys configured", open.admin(), nil},
	}
}

// access is the table of who may do what: an answer for each visitor, in their order.
var access = []struct {
	method, path string
	want         [12]int
}{
	{"GET", "/", each(200)},
	{"GET", "/health", each(200)},
	{"GET", "/health/live", each(200)},
	{"GET", "/health/ready", each(200)},
	{"GET", "/openapi.yaml", each(200)},

	{"POST", "/api/v1/submit", [12]int{202, 202, 401, 401, 401, 202, 202, 403, 202, 404, 404, 404}},
	{"GET", "/api/v1/status/:id", [12]int{200, 200, 401, 401, 401, 200, 404, 404, 200, 404, 404, 404}},
	{"DELETE", "/api/v1/status/:id", [12]int{200, 200, 401, 401, 401, 200, 404, 404, 200, 404, 404, 404}},
	{"GET", "/api/v1/response/:id", [12]int{200, 200, 401, 401, 401, 200, 404, 404, 200, 404, 404, 404}},

	{"GET", "/api/v1/response/:id/raw", [12]int{410, 410, 401, 401, 401, 410, 404, 404, 410, 404, 404, 404}},
	{"POST", "/proxy/orders/x", [12]int{202, 202, 401, 401, 401, 202, 202, 403, 202, 404, 404, 404}},
	{"GET", "/proxy/orders", [12]int{202, 202, 401, 401, 401, 202, 202, 403, 202, 404, 404, 404}},

	{"GET", "/metrics", administration(200)},
	{"GET", "/api/v1/dead-letters", administration(200)},
	{"GET", "/api/v1/dead-letters/:id", administration(200)},
	{"POST", "/api/v1/dead-letters/:id/resend", administration(202)},
	{"POST", "/api/v1/dead-letters/resend", administration(202)},
	{"DELETE", "/api/v1/dead-letters/:id", administration(204)},
	{"POST", "/api/v1/backup", administration(201)},

	{"GET", "/nowhere", each(404)},
	{"GET", "/api/v1/dead-letters/:id/resend/x", each(404)},
}

func each(status int) (all [12]int) {
	for i := range all {
		all[i] = status
	}
	return all
}

func administration(good int) [12]int {
	return [12]int{403, 403, 401, 401, 401, 403, 403, 403, good, good, good, good}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	all := visitors(t)
	for _, row := range access {
		path := strings.Replace(row.path, ":id", string(testID), 1)
		body := ""
		if row.method == http.MethodPost {
			body = `{}`
		}
		for i, v := range all {
			a := v.rig.do(row.method, path, body, v.field...)
			require.Equal(t, row.want[i], a.StatusCode, "%s: %s %s: %s", v.name, row.method, path, a.body)
			switch row.want[i] {
			case http.StatusUnauthorized:
				requireProblem(t, a, http.StatusUnauthorized, "UNAUTHORIZED")
				require.Equal(t, `OpenHQM-Key realm="openhqm"`, a.Header.Get("WWW-Authenticate"))
			case http.StatusForbidden:
				requireProblem(t, a, http.StatusForbidden, "FORBIDDEN")
			}
			if row.method == http.MethodGet {
				head := v.rig.do(http.MethodHead, path, "", v.field...)
				require.Equal(t, row.want[i], head.StatusCode, "%s: HEAD %s", v.name, path)
			}
		}
	}
	for _, v := range all {
		for _, key := range append(testKeys(), testKey("shop2")) {
			require.NotContains(t, v.rig.log.String(), "="+key.Caller.Name+"2", "no key that was presented is logged")
		}
	}
}

func TestNoRouteIsMissingFromTheTable(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	a := newAPI(t.Context(), opts)
	for _, route := range slices.Concat(a.engine().Routes(), a.adminEngine().Routes()) {
		if route.Method == http.MethodHead {
			continue // tried with GET
		}
		known := false
		for _, row := range access {
			known = known || row.method == route.Method && row.path == route.Path
		}
		require.True(t, known, "%s %s", route.Method, route.Path)
	}
}

func TestTheCallerIsThatOfTheKey(t *testing.T) {
	t.Parallel()
	for _, key := range testKeys() {
		f, given := accepting()
		r := start(t, f, func(o *Options) { o.Keys = testKeys() })
		body := `{"headers": {"X-OpenHQM-Key": "inner"}}`
		a := r.do("POST", "/api/v1/submit", body, "x-openhqm-key", key.Caller.Name)
		require.Equal(t, http.StatusAccepted, a.StatusCode)
		require.Equal(t, key.Caller, (<-given).Caller)
	}
}

func TestTheKeyIsRemovedFromTheRequest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){"keys": keyed, "no keys": gate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan http.Header, 2)
			r := start(t, &fakes{}, change, func(o *Options) {
				o.Metrics = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
			})
			addresses := []*rig{r.admin()}
			if name == "keys" { // else there is no administration elsewhere
				addresses = append(addresses, r)
			}
			for _, r := range addresses {
				r.do("GET", "/metrics", "", "X-OpenHQM-Key", "ops")
				header := <-seen
				require.NotEmpty(t, header)
				require.NotContains(t, header, domain.HeaderKey)
			}
		})
	}
}

func TestARefusedBodyIsNotRead(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed)
	conn := post(t, r, "Content-Length: 1000000", `{"pay`)
	requireClosingProblem(t, conn, http.StatusUnauthorized, "UNAUTHORIZED")
}

// TestGuessingKeysIsSlow holds that wrong keys are counted by address, and that right ones cost nothing and pass.
func TestGuessingKeysIsSlow(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	r := start(t, &fakes{}, keyed, func(o *Options) {
		o.Now = func() time.Time { return testNow.Add(time.Duration(now.Load())) }
		o.TrustedProxies = ProxyTrust{netip.MustParsePrefix("127.0.0.0/8")}
	})
	ask := func(key, from string) answer {
		return r.do("GET", statusURL, "", "X-OpenHQM-Key", key, "X-Forwarded-For", from)
	}
	for range 3 * guesses.Burst {
		require.Equal(t, http.StatusOK, ask("shop", "192.0.2.1").StatusCode)
		requireProblem(t, r.do("GET", statusURL, "", "X-Forwarded-For", "192.0.2.1"), 401, "UNAUTHORIZED") // no guess
	}
	for range guesses.Burst {
		a := ask("guess", "192.0.2.1")
		requireProblem(t, a, http.StatusUnauthorized, "UNAUTHORIZED")
		require.False(t, a.Close)
	}
	a := ask("guess", "192.0.2.1")
	requireProblem(t, a, http.StatusTooManyRequests, "RATE_LIMITED")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.True(t, a.Close, "the next guess needs a connection of its own")
	require.Equal(t, http.StatusOK, ask("shop", "192.0.2.1").StatusCode, "a right key of the same address")
	require.Equal(t, http.StatusUnauthorized, ask("guess", "192.0.2.2").StatusCode, "another address")
	now.Add(int64(time.Second))
	require.Equal(t, http.StatusUnauthorized, ask("guess", "192.0.2.1").StatusCode)
	require.Equal(t, http.StatusTooManyRequests, ask("guess", "192.0.2.1").StatusCode)
	require.NotContains(t, r.log.String(), "guess")
}

func TestKeysAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	for _, key := range keys {
		caller, known := findKey(keys, key.Caller.Name)
		require.True(t, known)
		require.Equal(t, key.Caller, caller)
	}
	for _, wrong := range []string{"", "Shop", "shop ", string(keys[0].SHA256[:])} {
		_, known := findKey(keys, wrong)
		require.False(t, known, wrong)
	}
}

func TestARouteWithoutAGuardAnswersNobody(t *testing.T) {
	t.Parallel()
	opts, log, _ := testOptions(&fakes{})
	a := newAPI(t.Context(), opts)
	e := a.emptyEngine()
	e.GET("/unguarded/:id", a.handle(a.status))
	server := newListener("test", "127.0.0.1:0", 1, nil, e, opts)
	require.NoError(t, server.listen(t.Context()))
	served := make(chan error, 1)
	go func() { served <- server.serve() }()
	address := "http://" + server.addr().String() + "/unguarded/" + string(testID)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	requireProblem(t, readAnswer(t, response), http.StatusInternalServerError, "INTERNAL")
	require.Contains(t, log.String(), "panic")
	require.NoError(t, server.shutdown(context.Background()))
	require.NoError(t, <-served)
}

// TestPagesOfOtherSitesMayNotUseAnOpenGateway sends what a browser sends for a page of another site. A program, which
// sends no such fields, and a page with a key are not meant.
func TestPagesOfOtherSitesMayNotUseAnOpenGateway(t *testing.T) {
	t.Parallel()
	crossSite := []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
	f, _ := accepting()
	open := start(t, f, gate)
	for name, r := range map[string]*rig{"without keys": open, "admin": open.admin()} {
		a := r.do("DELETE", "/api/v1/dead-letters/id", "", crossSite...)
		require.Equal(t, http.StatusForbidden, a.StatusCode, name)
		require.Contains(t, a.body, "FORBIDDEN", name)
	}
	require.Equal(t, http.StatusForbidden, open.do("POST", "/api/v1/submit", `{"payload": 1}`, crossSite...).StatusCode)
	require.Equal(t, http.StatusAccepted, open.do("POST", "/api/v1/submit", `{"payload": 1}`).StatusCode)

	f, _ = accepting()
	withKeys := start(t, f, keyed)
	a := withKeys.do("POST", "/api/v1/submit", `{"payload": 1}`, append(crossSite, "X-OpenHQM-Key", "ops")...)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
}

// TestPagesOfOtherOriginsMayNotQueueAnything holds that on the proxy path no method is safe, as the backend is called
// whatever it is; but that an address which stands for the application leaves it to that.
func TestPagesOfOtherOriginsMayNotQueueAnything(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f, sidecar)
	for _, tt := range []struct {
		header []string
		refuse bool
	}{
		{[]string{"Sec-Fetch-Site", "cross-site"}, true},
		{[]string{"Sec-Fetch-Site", "same-site"}, true},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "http://gateway"}, true},
		{[]string{"Origin", "https://evil.example"}, true},
		{[]string{"Origin", "null"}, true},
		{[]string{"Origin", "http://gateway"}, false},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "https://gateway"}, false},
		{[]string{"Sec-Fetch-Site", "none"}, false},
		{nil, false},
	} {
		for _, method := range []string{"GET", "OPTIONS", "PUT", "PROPFIND"} {
			a := r.do(method, "/proxy/orders/x", "", tt.header...)
			if tt.refuse {
				requireProblem(t, a, http.StatusForbidden, "FORBIDDEN")
			} else {
				require.Equal(t, http.StatusAccepted, a.StatusCode, "%s %s", method, tt.header)
				require.Equal(t, method, (<-given).Method)
			}
			a = r.transparent().do(method, "/x", "", tt.header...)
			require.Equal(t, http.StatusAccepted, a.StatusCode, "%s %s", method, tt.header)
			require.Equal(t, "orders", (<-given).Endpoint)
		}
		require.Equal(t, http.StatusOK, r.do("GET", "/health", "", tt.header...).StatusCode)
		require.Equal(t, http.StatusNotFound, r.do("GET", statusURL, "", tt.header...).StatusCode, "reading is no harm")
	}
	require.Empty(t, given)
}
