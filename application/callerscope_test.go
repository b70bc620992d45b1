package application_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// keyed submits a request with the idempotency key "k".
func keyed(t *testing.T, change func(*ports.Submission)) domain.Request {
	t.Helper()
	sub := valid()
	sub.IdempotencyKey = "k"
	sub.Header = domain.Header{"Idempotency-Key": {"k"}}
	change(&sub)
	return accept(t, submitOptions(), sub)
}

// TestIdempotencyKeysAreThoseOfACaller holds that two users of one application never share a request, for us and for
// the backend.
func TestIdempotencyKeysAreThoseOfACaller(t *testing.T) {
	t.Parallel()
	with := func(name string, values ...string) func(*ports.Submission) {
		return func(sub *ports.Submission) { sub.Header[name] = values }
	}
	named := func(name string) func(*ports.Submission) {
		return func(sub *ports.Submission) { sub.Caller.Name = name }
	}
	callers := map[string]func(*ports.Submission){
		"nobody":        func(*ports.Submission) {},
		"one token":     with("Authorization", "Bearer a"),
		"another token": with("Authorization", "Bearer b"),
		"a cookie":      with("Cookie", "Bearer a"),
		"two cookies":   with("Cookie", "Bear", "er a"),
		"a key":         named("shop"),
		"another key":   named("ops"),
	}
	seen, sent := make(map[string]string), make(map[string]string)
	for name, change := range callers {
		req := keyed(t, change)
		ours := req.Owner + "/" + req.Idempotency.Key
		require.NotContains(t, seen, ours, "%s and %s", name, seen[ours])
		theirs := req.Header.Get("Idempotency-Key")
		require.NotContains(t, sent, theirs, "%s and %s", name, sent[theirs])
		seen[ours], sent[theirs] = name, name
		again := keyed(t, change)
		require.Equal(t, req.Idempotency.Key, again.Idempotency.Key, name)
		require.Equal(t, theirs, again.Header.Get("Idempotency-Key"), name)
		require.NotContains(t, ours+theirs, "Bearer", name)
	}
	require.Equal(t, "k", keyed(t, callers["nobody"]).Header.Get("Idempotency-Key"))
	require.Equal(t, "k", keyed(t, named("shop")).Idempotency.Key, "stores tell owners apart")
	quoted := keyed(t, func(sub *ports.Submission) {
		sub.Caller.Name, sub.Header["Idempotency-Key"] = "shop", []string{`"k"`}
	})
	require.Regexp(t, `^"k~[0-9a-f]{16}"$`, quoted.Header.Get("Idempotency-Key"))
}

func TestAMethodThatIsLeftOutIsTheSameAsTheOneThatIsSent(t *testing.T) {
	t.Parallel()
	fingerprint := func(method string) [32]byte {
		return keyed(t, func(sub *ports.Submission) { sub.Method = method }).Idempotency.Fingerprint
	}
	require.Equal(t, fingerprint(""), fingerprint(http.MethodPost))
	require.NotEqual(t, fingerprint(""), fingerprint(http.MethodPut))
}
