package domain_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestHeaderNamesInAnyCase(t *testing.T) {
	t.Parallel()
	h := make(domain.Header)
	h.Set("x-one", "a", "b")
	h.Add("X-ONE", "c")
	h.Add("x-two", "")
	require.Equal(t, domain.Header{"X-One": {"a", "b", "c"}, "X-Two": {""}}, h)

	require.Equal(t, "a", h.Get("x-oNE"))
	require.Empty(t, h.Get("x-none"))
	require.True(t, h.Has("X-TWO"), "an empty value is a value")
	require.False(t, h.Has("x-none"))

	h.Set("X-one", "d")
	h.Del("x-TWO")
	require.Equal(t, domain.Header{"X-One": {"d"}}, h)
}

func TestHeaderCloneSharesNothing(t *testing.T) {
	t.Parallel()
	h := domain.Header{"X-One": {"a", "b"}}
	clone := h.Clone()
	require.Equal(t, h, clone)

	clone["X-One"][0] = "changed"
	clone.Add("X-One", "c")
	clone.Set("X-Two", "d")
	require.Equal(t, domain.Header{"X-One": {"a", "b"}}, h)
	require.NotNil(t, domain.Header(nil).Clone())
}

func TestHeaderEndToEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.Header
		want domain.Header
	}{
		{"nothing", nil, domain.Header{}},
		{
			"repeats stay, in order",
			domain.Header{"Set-Cookie": {"b=2", "a=1", "b=2"}, "X-Empty": {""}},
			domain.Header{"Set-Cookie": {"b=2", "a=1", "b=2"}, "X-Empty": {""}},
		},
		{
			"every hop-by-hop field goes",
			domain.Header{
				"Connection": {"close"}, "Keep-Alive": {"timeout=5"}, "Proxy-Connection": {"keep-alive"}, "Te": {"trailers"},
				"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Trailer": {"Expires"},
				"Proxy-Authenticate": {"Basic"}, "Proxy-Authorization": {"Basic x"}, "Accept": {"*/*"},
			},
			domain.Header{"Accept": {"*/*"}},
		},
		{
			"in any case",
			domain.Header{
				"connection": {"close"}, "KEEP-ALIVE": {"timeout=5"}, "proxy-Connection": {"x"}, "tE": {"trailers"},
				"transfer-encoding": {"chunked"}, "UPGRADE": {"h2c"}, "trailer": {"Expires"},
				"proxy-authenticate": {"Basic"}, "PROXY-AUTHORIZATION": {"Basic x"}, "accept": {"*/*"},
			},
			domain.Header{"Accept": {"*/*"}},
		},
		{
			"so does what Connection names, in any case and in several values",
			domain.Header{
				"Connection": {"close, x-ONE ,\tX-Two", "", ",,X-Three,", "Connection"},
				"X-One":      {"1", "1"}, "x-two": {"2"}, "X-Three": {"3"}, "X-Four": {"4"},
			},
			domain.Header{"X-Four": {"4"}},
		},
		{
			"also when Connection is written differently twice",
			domain.Header{"connection": {"X-One"}, "CONNECTION": {"X-Two"}, "X-One": {"1"}, "X-Two": {"2"}},
			domain.Header{},
		},
		{
			"also under an alias, in either list",
			domain.Header{
				"Connection": {"x-one, X_Two, Under_score"}, "X_one": {"1"}, "x-One": {"1"}, "X-Two": {"2"}, "X_TWO": {"2"},
				"Under_Score": {"3"}, "X_other": {"kept"}, "Transfer_Encoding": {"chunked"}, "Proxy_authorization": {"x"},
			},
			domain.Header{"X_other": {"kept"}},
		},
		{
			"names that only look alike stay",
			domain.Header{"Connections": {"X-One"}, "X-Te": {"1"}, "X-One": {"1"}, "X-Connection": {"close"}},
			domain.Header{"Connections": {"X-One"}, "X-Te": {"1"}, "X-One": {"1"}, "X-Connection": {"close"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := tt.give.Clone()
			got := tt.give.EndToEnd()
			require.Equal(t, tt.want, got)
			requireUntouched(t, before, tt.give, got)
		})
	}
}

// TestHeaderEndToEndLosesNoSpelling uses one field in two spellings, which no parser of ours writes.
func TestHeaderEndToEndLosesNoSpelling(t *testing.T) {
	t.Parallel()
	got := domain.Header{"x-one": {"a", "b"}, "X-One": {"c"}, "X-ONE": {"d"}}.EndToEnd()
	require.Len(t, got, 1)
	require.ElementsMatch(t, []string{"a", "b", "c", "d"}, got["X-One"])
}

func TestHeaderPolicyApply(t *testing.T) {
	t.Parallel()
	sent := domain.Header{
		"Accept": {"a", "b"}, "Authorization": {"Bearer x"}, "X-One": {"1"}, "X-Two": {"2"}, "Connection": {"x-two"},
		"Host": {"gateway"}, "Content-Length": {"3"}, "Content-Type": {"text/plain"}, "X-Openhqm-Key": {"secret"},
	}
	tests := []struct {
		name string
		give domain.HeaderPolicy
		want []string
	}{
		{"everything", domain.HeaderPolicy{Forward: []string{"*"}}, []string{
			"Accept", "Authorization", "Content-Type", "X-One",
		}},
		{"everything, with names beside it", domain.HeaderPolicy{Forward: []string{"X-One", "*"}}, []string{
			"Accept", "Authorization", "Content-Type", "X-One",
		}},
		{"nothing", domain.HeaderPolicy{}, nil},
		{"what Forward names, in any case", domain.HeaderPolicy{Forward: []string{"aCCEPT", "x-one", "x-none"}}, []string{
			"Accept", "X-One",
		}},
		{
			"but not what Strip names, in any case",
			domain.HeaderPolicy{Forward: []string{"*"}, Strip: []string{"AUTHORIZATION", "x-one", "x-none"}},
			[]string{"Accept", "Content-Type"},
		},
		{
			"Strip wins",
			domain.HeaderPolicy{Forward: []string{"accept", "x-one"}, Strip: []string{"X-One"}},
			[]string{"Accept"},
		},
		{
			"hop-by-hop fields, our key and those of the message do not travel when they are named",
			domain.HeaderPolicy{Forward: []string{
				"Connection", "X-Two", "X-OpenHQM-Key", "Host", "Content-Length", "X-One",
			}},
			[]string{"X-One"},
		},
		{"a star in Strip is no pattern", domain.HeaderPolicy{Forward: []string{"X-One"}, Strip: []string{"*"}}, []string{
			"X-One",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			give := sent.Clone()
			got := tt.give.Apply(give)
			require.ElementsMatch(t, tt.want, slices.Collect(maps.Keys(got)))
			for name, values := range got {
				require.Equal(t, sent[name], values)
			}
			requireUntouched(t, sent, give, got)
		})
	}
}

// TestHeaderPolicyKeepsWhatConnectsCalls restricts what is forwarded.
func TestHeaderPolicyKeepsWhatConnectsCalls(t *testing.T) {
	t.Parallel()
	give := domain.Header{
		"Idempotency-Key": {"1"}, "traceparent": {"1"}, "Tracestate": {"1", "2"}, "Via": {"1"}, "x-correlation-id": {"1"},
		"X_Correlation_Id": {"1"}, "Baggage": {"1"}, "Accept": {"1"}, "X-Other": {"1"},
	}
	connecting := domain.Header{
		"Idempotency-Key": {"1"}, "Traceparent": {"1"}, "Tracestate": {"1", "2"}, "Via": {"1"}, "X-Correlation-Id": {"1"},
	}
	require.Equal(t, connecting, domain.HeaderPolicy{}.Apply(give))
	withAccept := connecting.Clone()
	withAccept.Set("Accept", "1")
	require.Equal(t, withAccept, domain.HeaderPolicy{Forward: []string{"accept"}}.Apply(give))
	for name := range connecting {
		for _, forward := range [][]string{nil, {name}, {"*"}} {
			got := domain.HeaderPolicy{Forward: forward, Strip: []string{strings.ToUpper(name)}}.Apply(give)
			require.NotContains(t, got, name)
		}
	}
}

// TestHeaderPolicyApplyKnowsAliases uses fields that differ from others only in "_" for "-".
func TestHeaderPolicyApplyKnowsAliases(t *testing.T) {
	t.Parallel()
	policy := domain.HeaderPolicy{Forward: []string{"*"}, Strip: []string{"x-user-id", "Under_Score"}}
	got := policy.Apply(domain.Header{
		"X_User_ID": {"1"}, "x-user_id": {"1"}, "Under-Score": {"1"}, "under_score": {"1"}, "X_OpenHQM_Key": {"1"},
		"X-OpenHQM_Key": {"1"}, "content_length": {"1"}, "Transfer_Encoding": {"1"}, "Proxy_Authorization": {"1"},
		"X_Other": {"kept"}, "X-Other": {"kept"}, "Accept_Language": {"kept"},
	})
	require.Equal(t, domain.Header{"X_other": {"kept"}, "X-Other": {"kept"}, "Accept_language": {"kept"}}, got)
	require.Empty(t, domain.HeaderPolicy{Forward: []string{"x-other"}}.Apply(domain.Header{"X_Other": {"1"}}))
}

func TestFoldName(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"X-Api-Key": "X-Api-Key", "x_api_key": "X-Api-Key", "X_API-Key": "X-Api-Key", "_": "-", "": "", "Host": "Host",
		"X.Api.Key": "X-Api-Key", "x!api~key": "X-Api-Key", "X-Api.1": "X-Api-1", "a b": "A-B",
	} {
		require.Equal(t, want, domain.FoldName(give))
	}
}

func TestHeaderPolicyForwardsNoFieldsForGateways(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-OpenHQM-ID", "x-openhqm-", "X_Openhqm_Anything", "X.OpenHQM.Id", "X-Openhqm^Id"} {
		got := domain.HeaderPolicy{Forward: []string{"*", name}}.Apply(domain.Header{name: {"1"}, "X-Openhqm": {"kept"}})
		require.Equal(t, domain.Header{"X-Openhqm": {"kept"}}, got, name)
	}
}

func TestHeaderPolicyNeverLetsTheKeyThrough(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X-OpenHQM-Key", "x-openhqm-key", "X-OPENHQM-KEY", "X-Openhqm-Key"} {
		got := domain.HeaderPolicy{Forward: []string{"*"}}.Apply(domain.Header{name: {"secret"}})
		require.Empty(t, got, name)
	}
}

func FuzzHeaderEndToEnd(f *testing.F) {
	f.Add("close, x-one", "X-One", "1")
	f.Add("X-ONE,,x-two ", "x-one", "")
	f.Add("", "transfer-encoding", "chunked")
	f.Add("connection", "CONNECTION", "x-other")
	f.Add("a b", "a b", "\x00")
	f.Add("host", "Accept", "*/*")
	f.Add("x-one", "X_One", "1")
	f.Fuzz(func(t *testing.T, connection, name, value string) {
		give := domain.Header{"Connection": {connection}, name: {value, value}, "X-Other": {"other"}}
		before := give.Clone()
		got := give.EndToEnd()
		for kept := range got {
			if !token.MatchString(kept) {
				continue // it is never sent, and has no other spelling
			}
			require.NotContains(t, []string{
				"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
				"te", "trailer", "transfer-encoding", "upgrade",
			}, strings.ToLower(domain.FoldName(kept)))
			for option := range strings.SplitSeq(connection, ",") {
				option = strings.TrimSpace(option)
				require.NotEqual(t, domain.FoldName(option), domain.FoldName(kept), "%q was named", kept)
			}
		}
		requireUntouched(t, before, give, got)
	})
}

// token is what a field name must be (RFC 9110 section 5.6.2).
var token = regexp.MustCompile("\\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\\z")

// requireUntouched changes every value of a result and sees to it that the header it was made from is what it was.
func requireUntouched(t *testing.T, before, give, got domain.Header) {
	t.Helper()
	for _, values := range got {
		for i := range values {
			values[i] = "changed"
		}
	}
	got.Set("X-Added", "changed")
	if len(before) == 0 {
		require.Empty(t, give)
		return
	}
	require.Equal(t, before, give)
}
