package httpbackend_test

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// headerCase is what a client, a policy and an endpoint say, and the whole header that the backend gets beside ours.
type headerCase struct {
	name   string // what the contract says
	give   domain.Header
	policy domain.HeaderPolicy // the zero value forwards all
	static domain.Header
	auth   httpbackend.Auth
	want   domain.Header
}

// headerCases are in the order of the contract.
var headerCases = []headerCase{
	{name: "nothing is made up: no User-Agent, no Accept-Encoding, no Accept"},
	{
		name: "end-to-end fields travel, repeats in order, empty ones too",
		give: domain.Header{
			"Accept": {"b", "a", "b"}, "Cookie": {"a=1"}, "User-Agent": {"curl"}, "Accept-Encoding": {"br"}, "X-Empty": {""},
			"Authorization": {"Basic eDp5"}, "Forwarded": {"for=1.2.3.4"}, "X-Forwarded-For": {"1.2.3.4"},
		},
		want: domain.Header{
			"Accept": {"b", "a", "b"}, "Cookie": {"a=1"}, "User-Agent": {"curl"}, "Accept-Encoding": {"br"}, "X-Empty": {""},
			"Authorization": {"Basic eDp5"}, "Forwarded": {"for=1.2.3.4"}, "X-Forwarded-For": {"1.2.3.4"},
		},
	},
	{
		name: "hop-by-hop fields are dropped, in any case",
		give: domain.Header{
			"connection": {"close"}, "KEEP-ALIVE": {"1"}, "Proxy-Connection": {"close"}, "te": {"trailers"}, "Trailer": {"X"},
			"Transfer-Encoding": {"chunked"}, "upgrade": {"h2c"}, "Proxy-Authorization": {secret},
			"Proxy-Authenticate": {"Basic"}, "Proxy-Authentication-Info": {"x"}, "Expect": {"100-continue"},
		},
	},
	{
		name: "and those named by Connection",
		give: domain.Header{"Connection": {"close, X-ONE", ", x-two"}, "X-One": {"1", "1"}, "X-Two": {"2"}, "X-Three": {"3"}},
		want: domain.Header{"X-Three": {"3"}},
	},
	{
		name: "but Connection takes nothing away that we or the endpoint set",
		give: domain.Header{
			"Connection": {"X-OpenHQM-ID, X-OpenHQM-Attempt, Via, Idempotency-Key, Authorization, X-Tenant"},
			"Via":        {"1.0 fred"},
		},
		static: domain.Header{"X-Tenant": {"t"}},
		auth:   httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: secret},
		want:   domain.Header{"X-Tenant": {"t"}, "Authorization": {"Bearer " + secret}},
	},
	{
		name:   "the policy: only what forward_headers names",
		give:   domain.Header{"Accept": {"a"}, "Cookie": {"c"}, "X-Other": {"o"}},
		policy: domain.HeaderPolicy{Forward: []string{"accept", "COOKIE"}},
		want:   domain.Header{"Accept": {"a"}, "Cookie": {"c"}},
	},
	{
		name:   "the policy: never what strip_headers names",
		give:   domain.Header{"Accept": {"a"}, "Cookie": {"c"}, "X-User": {"u"}, "X_User": {"u"}},
		policy: domain.HeaderPolicy{Forward: []string{"*"}, Strip: []string{"COOKIE", "x-user"}},
		want:   domain.Header{"Accept": {"a"}},
	},
	{
		name:   "the endpoint's static headers are stronger than the client's",
		give:   domain.Header{"X-Tenant": {"a", "b"}, "X-Both": {"client"}, "User-Agent": {"curl"}},
		static: domain.Header{"x-tenant": {"c"}, "User-Agent": {"static"}},
		want:   domain.Header{"X-Tenant": {"c"}, "X-Both": {"client"}, "User-Agent": {"static"}},
	},
	{
		name:   "the endpoint's auth is stronger than both",
		give:   domain.Header{"Authorization": {"client", "again"}},
		static: domain.Header{"authorization": {"static"}},
		auth:   httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: secret},
		want:   domain.Header{"Authorization": {"Bearer " + secret}},
	},
	{
		name: "X-OpenHQM-ID and -Attempt are ours alone",
		give: domain.Header{"X-Openhqm-Id": {"forged"}, "x-openhqm-attempt": {"9", "10"}},
	},
	{
		name: "Via is appended to, in one line",
		give: domain.Header{"Via": {"1.0 fred", "1.1 p.example.net"}},
		want: domain.Header{"Via": {"1.0 fred, 1.1 p.example.net, 1.1 openhqm"}},
	},
	{
		name: "X-Correlation-ID and Idempotency-Key stay the client's",
		give: domain.Header{"x-correlation-id": {"mine"}, "IDEMPOTENCY-KEY": {"key"}},
		want: domain.Header{"X-Correlation-Id": {"mine"}, "Idempotency-Key": {"key"}},
	},
	{
		name: "Host is the backend's, and so is the length",
		give: domain.Header{"Host": {"evil"}, "Content-Length": {"7"}},
	},
	{
		name: "what we set is set under every spelling that a backend may read as the same",
		give: domain.Header{
			"X.OpenHQM.Id": {"forged"}, "X_Openhqm.Attempt": {"9"}, "Idempotency.Key": {"forged"}, "X~Tenant": {"forged"},
		},
		static: domain.Header{"X-Tenant": {"t"}},
		want:   domain.Header{"X-Tenant": {"t"}},
	},
	{
		name: "other fields for gateways do not travel, but the operator may set them",
		give: domain.Header{"X-Openhqm-Label-Team": {"red"}, "X-Openhqm-Priority": {"9"}},

		static: domain.Header{"X-OpenHQM-Priority": {"5"}},
		want:   domain.Header{"X-Openhqm-Priority": {"5"}},
	},
	{
		name:   "what the operator sets of ours is kept, once",
		static: domain.Header{"x-correlation-id": {"op"}, "via": {"1.1 op"}, "user-agent": {"op"}, "x-openhqm-ID": {"op"}},
		want:   domain.Header{"X-Correlation-Id": {"op"}, "Via": {"1.1 op, 1.1 openhqm"}, "User-Agent": {"op"}},
	},
	{
		name: "the gateway's own key never travels",
		give: domain.Header{"X-Openhqm-Key": {secret}, "x_openhqm-KEY": {secret}, "X_OPENHQM_KEY": {secret}},
	},
	{
		name: "no other spelling of what we, the endpoint or its auth set",
		give: domain.Header{
			"X_OpenHQM_ID": {"forged"}, "X-OpenHQM_Attempt": {"9"}, "X_API_Key": {"forged"}, "x_tenant": {"forged"},
			"X-Plan": {"forged"}, "Idempotency_Key": {"forged"}, "X_Correlation_ID": {"forged"}, "Content_Length": {"9"},
			"Transfer_Encoding": {"chunked"}, "X_Other": {"one"}, "X-Other": {"two"},
		},
		static: domain.Header{"X-Tenant": {"t"}, "X_plan": {"p"}},
		auth:   httpbackend.Auth{Kind: httpbackend.AuthAPIKey, Token: secret},
		want: domain.Header{
			"X-Tenant": {"t"}, "X_plan": {"p"}, "X-Api-Key": {secret}, "X_other": {"one"}, "X-Other": {"two"},
		},
	},
}

func TestTheBackendGetsExactlyTheseHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range headerCases {
		for _, secure := range []bool{false, true} {
			t.Run(tt.name+", HTTP/2 "+strconv.FormatBool(secure), func(t *testing.T) {
				t.Parallel()
				tt.check(t, secure)
			})
		}
	}
}

func (tt headerCase) check(t *testing.T, secure bool) {
	t.Helper()
	server, trust, seen := record(t, secure)
	o := options(httpbackend.Endpoint{
		Name: endpointName, URL: server.URL, Header: tt.static, Auth: tt.auth, TLS: trust,
	})
	if tt.policy.Forward != nil {
		o.HeaderPolicy = tt.policy
	}
	client, err := httpbackend.New(o)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	call := callOf(http.MethodPost, []byte("{}"))
	call.Attempt = 3
	call.Request.Header = tt.give
	before := tt.give.Clone()
	do(t, client, call)
	got := <-seen

	want := domain.Header{
		"X-Openhqm-Id": {"id-1"}, "X-Openhqm-Attempt": {"3"}, "Via": {"1.1 openhqm"}, "Content-Length": {"2"},
		"X-Correlation-Id": {"id-1"}, "Idempotency-Key": {"id-1"},
	}
	maps.Copy(want, tt.want)
	require.Equal(t, want, domain.Header(got.Header))
	require.Equal(t, strings.SplitAfter(server.URL, "://")[1], got.Host)
	require.Equal(t, before, tt.give.Clone(), "the request belongs to the caller")
}

// TestTheOperatorsSpellingIsKept has a server that sees the bytes of HTTP/1.1.
func TestTheOperatorsSpellingIsKept(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 100)
	server := listen(t, func(c *conversation) {
		for {
			line, err := c.reader.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
			lines <- line
		}
		close(lines)
		c.write("HTTP/1.1 204 No Content\r\n\r\n")
	})
	client := newClient(t, httpbackend.Endpoint{
		URL: server.url, Header: domain.Header{"SOAPAction": {"a"}, "x-lower": {"b"}, "eBay_API.name": {"c"}},
		Auth: httpbackend.Auth{Kind: httpbackend.AuthCustom, Token: secret, Header: "X-MBX-APIKEY"},
	})
	call := callOf(http.MethodGet, nil)
	call.Request.Header = domain.Header{"Soapaction": {"client"}, "X-Mbx-Apikey": {"client"}, "X-Client": {"1"}}
	do(t, client, call)
	var got []string
	for line := range lines {
		got = append(got, strings.TrimSpace(line))
	}
	for _, want := range []string{
		"SOAPAction: a", "x-lower: b", "eBay_API.name: c", "X-MBX-APIKEY: " + secret, "X-Client: 1",
	} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, strings.Join(got, "\n"), "client\n")
}

func TestDoAuthenticates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		give  httpbackend.Auth
		field string
		want  string
	}{
		{"the zero value", httpbackend.Auth{}, "Authorization", "client"},
		{"none", httpbackend.Auth{Kind: httpbackend.AuthNone, Token: secret}, "Authorization", "client"},
		{"bearer", httpbackend.Auth{Kind: httpbackend.AuthBearer, Token: secret}, "Authorization", "Bearer " + secret},
		{"api_key", httpbackend.Auth{Kind: httpbackend.AuthAPIKey, Token: secret}, "X-API-Key", secret},
		{
			"api_key elsewhere",
			httpbackend.Auth{Kind: httpbackend.AuthAPIKey, Token: secret, Header: "apikey"},
			"Apikey", secret,
		},
		{
			"basic",
			httpbackend.Auth{Kind: httpbackend.AuthBasic, Username: "Aladdin", Password: "open sesame"},
			"Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
		}, // RFC 7617 section 2
		{
			"basic without a password",
			httpbackend.Auth{Kind: httpbackend.AuthBasic, Username: "key"},
			"Authorization", "Basic a2V5Og==",
		},
		{
			"custom",
			httpbackend.Auth{Kind: httpbackend.AuthCustom, Token: "Token " + secret, Header: "x-auth"},
			"X-Auth", "Token " + secret,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, _, seen := record(t, false)
			client := newClient(t, httpbackend.Endpoint{URL: server.URL, Auth: tt.give})
			call := callOf(http.MethodPost, nil)
			call.Request.Header = domain.Header{}
			for _, name := range []string{"Authorization", "X-API-Key", "apikey", "X-Auth"} {
				call.Request.Header.Set(name, "client")
			}
			do(t, client, call)
			require.Equal(t, []string{tt.want}, (<-seen).Header.Values(tt.field))
		})
	}
}
