package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHostsThatAreOurs(t *testing.T) {
	t.Parallel()
	h := newHosts(&Options{
		Hosts: []string{"HQM.example.com", "*.shop.example"}, PublicURL: "https://public.example:8443/x",
	})
	for host, want := range map[string]bool{
		"": true, "127.0.0.1": true, "127.0.0.1:8000": true, "[::1]:8000": true, "[::1]": true, "192.0.2.1:80": true,
		"localhost": true, "LOCALHOST:8000": true, "openhqm": true, "openhqm:8000": true, "a.localhost": true,
		"openhqm.default.svc": true, "openhqm.default.svc.cluster.local:8000": true, "printer.local": true,
		"hqm.example.com": true, "hqm.example.com.": true, "hqm.EXAMPLE.com:8000": true, "public.example": true,
		"a.shop.example": true, "a.b.shop.example:1": true,

		"evil.example": false, "evil.example:8000": false, "shop.example": false, "evilshop.example": false,
		"hqm.example.com.evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
	} {
		err := h.check(&http.Request{Host: host})
		if want {
			require.NoError(t, err, host)
		} else {
			require.ErrorContains(t, err, "server.hosts", host)
		}
	}
	h = newHosts(&Options{Hosts: []string{"*"}})
	require.NoError(t, h.check(&http.Request{Host: "evil.example"}))
}

// TestANameThatLeadsHereIsNotOurs is DNS rebinding: a page's own name leads to an address of ours that asks for no key.
func TestANameThatLeadsHereIsNotOurs(t *testing.T) {
	t.Parallel()
	open := start(t, wellApp(), gate)
	keyless := start(t, wellApp(), withDeadLetters(wellLetters()))
	closed := start(t, wellApp(), keyed)
	for _, tt := range []struct {
		rig          *rig
		method, path string
		want         int
	}{
		{open.admin(), "GET", "/api/v1/dead-letters", 421},
		{open.admin(), "POST", "/api/v1/dead-letters/resend", 421},
		{closed.admin(), "GET", "/api/v1/dead-letters", 421},
		{keyless, "GET", "/api/v1/dead-letters", 421},
		{keyless, "POST", "/api/v1/submit", 421},
		{keyless, "GET", "/proxy/orders", 421},
		{keyless, "GET", "/health", 200},
		{closed, "POST", "/api/v1/submit", 401},
	} {
		a := tt.rig.doAs("evil.example", tt.method, tt.path)
		require.Equal(t, tt.want, a.StatusCode, "%s %s: %s", tt.method, tt.path, a.body)
		if tt.want == http.StatusMisdirectedRequest {
			requireProblem(t, a, http.StatusMisdirectedRequest, "MISDIRECTED")
		}
	}
}

func TestAdministrativeCallsAreLogged(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed)
	r.do("GET", "/api/v1/dead-letters?endpoint=orders&limit=7", "", "X-OpenHQM-Key", "ops")
	r.do("DELETE", "/api/v1/dead-letters/"+string(testID), "", "X-OpenHQM-Key", "ops")
	r.admin().do("POST", "/api/v1/dead-letters/resend", `{"reason": "deadline"}`)
	r.do("GET", "/metrics", "", "X-OpenHQM-Key", "ops")
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	require.Len(t, lines, 3, "reading metrics changes and reveals nothing")
	for i, want := range []string{
		"msg=administration caller=ops client=127.0.0.1 method=GET route=/api/v1/dead-letters status_code=200 " +
			"filter.limit=7 filter.endpoint=orders count=0",
		"msg=administration caller=ops client=127.0.0.1 method=DELETE route=/api/v1/dead-letters/{id} status_code=204 " +
			"correlation_id=" + string(testID),
		"msg=administration caller=\"(no key)\" client=127.0.0.1 method=POST route=/api/v1/dead-letters/resend " +
			"status_code=202 filter.limit=100 filter.reason=deadline count=0",
	} {
		require.Contains(t, lines[i], want)
	}
}

func TestRefusalsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	r, now := newRefusals(), testNow
	require.Equal(t, 1, r.note(401, now))
	require.Equal(t, 1, r.note(403, now), "another kind")
	for range 10 {
		require.Zero(t, r.note(401, now.Add(refusalPause-time.Second)))
	}
	require.Equal(t, 11, r.note(401, now.Add(refusalPause)))
}

func TestWhatStrangersSendIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	opts, log, _ := testOptions(&fakes{})
	now := testNow
	s := &strangers{logger: opts.Logger, now: func() time.Time { return now }}
	for range 10 {
		_, _ = s.Write([]byte("http: TLS handshake error\n"))
	}
	require.Equal(t, 1, strings.Count(log.String(), "TLS handshake error"))
	now = now.Add(strangersPause)
	_, _ = s.Write([]byte("again"))
	require.Contains(t, log.String(), "times=10")
}
