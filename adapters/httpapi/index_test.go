package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	indexDocument = `{"service":"openhqm","description":"A durable asynchronous HTTP gateway","version":"1.2",` +
		`"openapi":"/openapi.yaml","health":"/health","documentation":"https://github.com/openhqm/openhqm"}`

	workerIndex = `{"service":"openhqm","description":"A durable asynchronous HTTP gateway","version":"1.2",` +
		`"health":"/health","documentation":"https://github.com/openhqm/openhqm"}`

	// browserAccept is what Firefox sends.
	browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

func TestTheIndexSaysWhatThisIsToEverybody(t *testing.T) {
	t.Parallel()
	keys := func(o *Options) { o.Access.Keys, o.Version = testKeys(), "1.2" }
	for name, tt := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"gateway": {keys, indexDocument},
		"worker":  {func(o *Options) { keys(o); o.HealthOnly = true }, workerIndex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, gate, tt.change)
			for _, listener := range []*rig{r, r.admin()} {
				a := listener.do("GET", "/", "")
				require.Equal(t, http.StatusOK, a.StatusCode)
				require.Equal(t, tt.want, a.body)
				require.Equal(t, "application/json", a.Header.Get("Content-Type"))
				require.Equal(t, "Accept", a.Header.Get("Vary"))

				head := listener.do("HEAD", "/", "")
				require.Equal(t, http.StatusOK, head.StatusCode)
				require.EqualValues(t, len(tt.want), head.ContentLength)
				require.Empty(t, head.body)
			}
		})
	}
}

func TestBrowsersGetAPage(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, func(o *Options) {
		o.Version, o.PublicURL = `1.2<script>`, "https://gateway.example/queue/"
	})
	a := r.do("GET", "/", "", "Accept", browserAccept)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	require.Equal(t, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		a.Header.Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	require.Contains(t, a.body, "version 1.2&lt;script&gt;")
	for _, address := range []string{
		"https://gateway.example/queue/openapi.yaml", "https://gateway.example/queue/health", documentation,
	} {
		require.Contains(t, a.body, `<a href="`+address+`">`)
	}
	require.NotContains(t, a.body, "<script")
	require.NotContains(t, a.body, "src=")
	require.Less(t, len(a.body), 1000)
}

func TestTheIndexHasOnlyGetAndHead(t *testing.T) {
	t.Parallel()
	a := start(t, &fakes{}).do("POST", "/", "{}")
	requireProblem(t, a, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	require.ElementsMatch(t, []string{"GET", "HEAD"}, strings.Split(a.Header.Get("Allow"), ", "))
}

func TestHTMLIsForThoseWhoPreferIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give []string
		want bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*/*"}, false},
		{[]string{"text/*"}, false},
		{[]string{browserAccept}, true},
		{[]string{"Text/HTML"}, true},
		{[]string{"application/json", "text/html"}, true},
		{[]string{"application/json, text/html;q=0.9"}, false},
		{[]string{"application/json;q=0.5, text/html;q=0.9"}, true},
		{[]string{"text/html;q=0"}, false},
		{[]string{"text/html;q=much"}, false},
		{[]string{"/;, text/html"}, true},
	} {
		require.Equal(t, tt.want, prefersHTML(tt.give), tt.give)
	}
}
