package httpapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

const ourPage = "https://app.example"

// letIn makes a server that lets pages of one origin in.
func letIn(o *Options) {
	o.CORS = CORS{Origins: []string{ourPage}, Headers: []string{anyField}, MaxAge: 10 * time.Minute}
}

// corsFields returns the fields of an answer that browsers look at.
func corsFields(a answer) http.Header {
	fields := make(http.Header)
	for name, values := range a.Header {
		if ofOrigin(name) {
			fields[name] = values
		}
	}
	return fields
}

func TestPreflightsOfListedOriginsNeedNoKey(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed, letIn)
	for _, path := range []string{
		"/api/v1/submit", statusURL, responseURL, rawURL, "/proxy/orders/x?a=b", "/openapi.yaml",
	} {
		a := r.do("OPTIONS", path, "", "Origin", ourPage, "Access-Control-Request-Method", "PATCH",
			"Access-Control-Request-Headers", "content-type,x-openhqm-key")
		require.Equal(t, http.StatusNoContent, a.StatusCode, path)
		require.Equal(t, http.Header{
			"Access-Control-Allow-Origin": {ourPage}, "Access-Control-Allow-Methods": {"PATCH"},
			"Access-Control-Allow-Headers": {"content-type,x-openhqm-key"}, "Access-Control-Max-Age": {"600"},
		}, corsFields(a), path)
		require.Contains(t, a.Header.Values("Vary"), "Origin")
	}
}

func TestPreflightsOfOthersAreRequestsLikeAnyOther(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, keyed, letIn)
	f, given := accepting()
	without := start(t, f)
	for name, tt := range map[string]struct {
		to     *rig
		path   string
		fields []string
		want   int
	}{
		"another origin":         {r, "/api/v1/submit", []string{"Origin", "https://evil.example"}, 405},
		"another origin, proxy":  {r, "/proxy/orders/x", []string{"Origin", "https://evil.example"}, 401},
		"a similar origin":       {r, "/api/v1/submit", []string{"Origin", ourPage + ".evil.example"}, 405},
		"another port":           {r, "/api/v1/submit", []string{"Origin", ourPage + ":8443"}, 405},
		"no origin":              {r, "/api/v1/submit", nil, 405},
		"administration":         {r, deadLettersPath, []string{"Origin", ourPage}, 405},
		"metrics":                {r, "/metrics", []string{"Origin", ourPage}, 405},
		"nobody is listed":       {without, "/api/v1/submit", []string{"Origin", ourPage}, 405},
		"nobody is listed, key":  {without, "/proxy/orders/x", []string{"Origin", ourPage}, 403},
		"nobody is listed, none": {without, "/proxy/orders/x", nil, 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := tt.to.do("OPTIONS", tt.path, "", append(tt.fields, "Access-Control-Request-Method", "POST")...)
			require.Equal(t, tt.want, a.StatusCode)
			require.Empty(t, corsFields(a))
		})
	}
	t.Cleanup(func() { require.Len(t, given, 1) })
}

func TestPagesOfListedOriginsMayReadAnswers(t *testing.T) {
	t.Parallel()
	backends := kept(200, "x", domain.Header{"Access-Control-Allow-Origin": {"https://else.example"}, "Vary": {"Accept"}})
	f := &fakes{}
	f.submit = ending(nil).submit
	open := start(t, f, letIn)
	closed := start(t, &fakes{}, keyed, letIn)
	replaying := start(t, found(backends), letIn)
	readable := http.Header{"Access-Control-Allow-Origin": {ourPage}, "Access-Control-Expose-Headers": {"*"}}
	for name, tt := range map[string]struct {
		at                 *rig
		method, path, body string
		want               int
	}{
		"submit":           {open, "POST", "/api/v1/submit", `{"payload": 1}`, 202},
		"proxy":            {open, "PUT", "/proxy/orders/x", "x", 202},
		"unknown":          {open, "GET", "/api/v1/status/none", "", 404},
		"wrong method":     {open, "PUT", "/api/v1/submit", "", 405},
		"bad":              {open, "POST", "/api/v1/submit", `{`, 400},
		"without a key":    {closed, "POST", "/api/v1/submit", `{"payload": 1}`, 401},
		"key and proxy":    {closed, "PUT", "/proxy/orders/x", "x", 401},
		"the replay":       {replaying, "GET", rawURL, "", 200},
		"the description":  {closed, "GET", "/openapi.yaml", "", 200},
		"plain, no CORS":   {open, "GET", "/health", "", 200},
		"dead letters":     {closed, "GET", deadLettersPath, "", 401},
		"changes of those": {open, "DELETE", deadLettersPath + "/" + string(testID), "", 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := tt.at.do(tt.method, tt.path, tt.body, "Origin", ourPage, "Sec-Fetch-Site", "cross-site")
			require.Equal(t, tt.want, a.StatusCode, a.body)
			if callOfClients(&http.Request{RequestURI: tt.path, URL: a.Request.URL}) {
				require.Equal(t, readable, corsFields(a))
				require.Contains(t, a.Header.Values("Vary"), "Origin")
			} else {
				require.Empty(t, corsFields(a))
			}
		})
	}
}

func TestOtherPagesMayDoAsLittleAsBefore(t *testing.T) {
	t.Parallel()
	r := start(t, ending(nil), letIn)
	for _, call := range [][2]string{{"POST", "/api/v1/submit"}, {"GET", "/proxy/orders"}} {
		a := r.do(call[0], call[1], "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		requireProblem(t, a, http.StatusForbidden, "FORBIDDEN")
		require.Empty(t, corsFields(a))
		require.Contains(t, a.Header.Values("Vary"), "Origin", "caches must not mix answers up")
	}
}

func TestAListedPageComesToAHostOfOurs(t *testing.T) {
	t.Parallel()
	r := start(t, ending(nil), letIn)
	reply := r.exchange("POST /api/v1/submit HTTP/1.1\r\nHost: evil.example\r\nOrigin: " + ourPage +
		"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	require.Contains(t, reply, "421 Misdirected Request")
}

func TestAllPagesMayUseAKey(t *testing.T) {
	t.Parallel()
	f, _ := accepting()
	all := func(o *Options) {
		o.CORS = CORS{Origins: []string{anyOrigin}, Headers: []string{"Content-Type", "X-OpenHQM-Key"}}
	}
	r := start(t, f, keyed, all, func(o *Options) { o.Submitter = f })
	a := r.do("OPTIONS", "/api/v1/submit", "", "Origin", "null", "Access-Control-Request-Method", "POST")
	require.Equal(t, http.Header{
		"Access-Control-Allow-Origin": {"null"}, "Access-Control-Allow-Methods": {"POST"},
		"Access-Control-Allow-Headers": {"Content-Type, X-OpenHQM-Key"}, "Access-Control-Max-Age": {"0"},
	}, corsFields(a))
	a = r.do("POST", "/api/v1/submit", `{"payload": 1}`, "Origin", "https://any.example", "X-OpenHQM-Key", "shop")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "https://any.example", a.Header.Get("Access-Control-Allow-Origin"))

	f, given := accepting()
	keyless := start(t, f, all)
	a = keyless.do("POST", "/api/v1/submit", `{"payload": 1}`, "Origin", "https://any.example")
	requireProblem(t, a, http.StatusForbidden, "FORBIDDEN")
	require.Empty(t, given, "without keys the wildcard lists nobody")
}

func TestTheTransparentAddressLeavesPagesToItsApplication(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f, letIn, sidecar).transparent()
	a := r.do("OPTIONS", "/x", "", "Origin", ourPage, "Access-Control-Request-Method", "POST")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Empty(t, corsFields(a))
	require.Equal(t, "OPTIONS", (<-given).Method)
}
