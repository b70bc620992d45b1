package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestParsePrefer(t *testing.T) {
	t.Parallel()
	async := preference{applied: "respond-async"}
	waits := func(seconds int) preference {
		return preference{wait: time.Duration(seconds) * time.Second, applied: fmt.Sprintf("wait=%d", seconds)}
	}
	for _, tt := range []struct {
		name string
		give []string
		want preference
	}{
		{"none", nil, preference{}},
		{"empty", []string{""}, preference{}},
		{"async", []string{"respond-async"}, async},
		{"an empty value is none", []string{`respond-async=`, `respond-async=""`}, async},
		{"async has no value", []string{"respond-async=yes"}, preference{}},
		{"wait", []string{"wait=10"}, waits(10)},
		{"no time at all", []string{"wait=0"}, waits(0)},
		{"leading zeros", []string{"wait=007"}, waits(7)},
		{"the most", []string{"wait=60"}, waits(55)},
		{"more", []string{"wait=61"}, waits(55)},
		{"more than a number holds", []string{"wait=" + strings.Repeat("9", 1000)}, waits(55)},
		{"any case", []string{"WaIt=10"}, waits(10)},
		{"async in any case", []string{"Respond-Async"}, async},
		{"quoted", []string{`wait="10"`}, waits(10)},
		{"space", []string{" \t wait \t=\t 10 \t"}, waits(10)},
		{"both: wait, then async", []string{"respond-async, wait=10"}, waits(10)},
		{"both, in two fields", []string{"wait=10", "respond-async"}, waits(10)},
		{"async with a wait that is none", []string{"wait=soon, respond-async"}, async},
		{"parameters", []string{`wait=10; foo="a;b, wait=20"; bar, respond-async;x`}, waits(10)},
		{"a parameter is no preference", []string{"foo; wait=10"}, preference{}},
		{"unknown ones", []string{"handling=lenient, return=minimal", ",,", `x="wait=1, wait=2", wait=3`}, waits(3)},
		{"an escaped quote", []string{`x="a\", wait=1", wait=3`}, waits(3)},
		{"the first counts", []string{"wait=5, wait=7"}, waits(5)},
		{"the first field counts", []string{"foo", "WAIT=5", "wait=7"}, waits(5)},
		{"the first counts, even malformed", []string{"wait=x, wait=7"}, preference{}},
		{"of async too", []string{"respond-async=x, respond-async"}, preference{}},
		{"no value", []string{"wait"}, preference{}},
		{"empty value", []string{"wait="}, preference{}},
		{"empty quotes", []string{`wait=""`}, preference{}},
		{"negative", []string{"wait=-1"}, preference{}},
		{"signed", []string{"wait=+1"}, preference{}},
		{"a fraction", []string{"wait=1.5"}, preference{}},
		{"a unit", []string{"wait=10s"}, preference{}},
		{"other digits", []string{"wait=1_0", "wait=١"}, preference{}},
		{"two words", []string{"wait=1 0"}, preference{}},
		{"an open quote", []string{`wait="10, respond-async`}, preference{}},
		{"a name in quotes", []string{`"wait"=10`}, preference{}},
		{"another name", []string{"waits=10, await=10"}, preference{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, parsePrefer(tt.give))
		})
	}
}

// FuzzPrefer holds that whatever a client sends is either ignored or within the limit, and that what is said to be
// applied means just that.
func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{
		"", "respond-async", "wait=10", `respond-async, wait="60"; a="b,c"`, "WAIT = 99999999999999999999", `wait="\1`,
		"wait=1,wait=2", `"`, "=", ",;=", `x="\"`,
	} {
		f.Add(seed, "wait=3")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		got := parsePrefer([]string{first, second})
		require.GreaterOrEqual(t, got.wait, time.Duration(0))
		require.LessOrEqual(t, got.wait, longestHold)
		require.Equal(t, got, parsePrefer([]string{got.applied}))
		if got.applied != "" && got.applied != preferAsync {
			require.Equal(t, fmt.Sprintf("wait=%d", int64(got.wait/time.Second)), got.applied)
		}
		if alone := parsePrefer([]string{first}); strings.HasPrefix(alone.applied, preferWait) {
			require.Equal(t, alone, got, "the first counts")
		}
	})
}

// ending is an application that accepts everything, and whose requests are at the end of a wait what read says.
func ending(read waitFunc) *fakes {
	f := reading(read)
	f.submit = func(context.Context, ports.Submission) (ports.Receipt, error) {
		return ports.Receipt{ID: testID, SubmittedAt: testNow}, nil
	}
	return f
}

// requireReceipt checks that a is the answer to a submit without waiting.
func requireReceipt(t *testing.T, a answer) {
	t.Helper()
	requireReceiptWith(t, a, domain.Pending)
}

// requireReceiptWith checks that a is the answer to a submit that was accepted, and was last seen with this status.
func requireReceiptWith(t *testing.T, a answer, status domain.Status) {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.StatusCode, a.body)
	require.Equal(t, `{"correlation_id":"`+string(testID)+`","status":"`+string(status)+`",`+
		`"submitted_at":"2026-03-04T04:06:07.891Z"}`, a.body)
	require.Equal(t, statusURL, a.Header.Get("Location"))
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	requireRecordFields(t, a, status)
}

func TestSubmitReportsWhatItAppliedOfPrefer(t *testing.T) {
	t.Parallel()
	f := ending(func(_ context.Context, _ domain.ID, wait time.Duration) (domain.Record, error) {
		require.Equal(t, 7*time.Second, wait)
		return pendingRecord, nil
	})
	r := start(t, f)
	for _, tt := range []struct{ give, want string }{
		{"", ""},
		{"handling=strict", ""},
		{"wait=soon", ""},
		{"respond-async", "respond-async"},
		{"wait=0", "wait=0"},
		{"respond-async, WAIT=7", "wait=7"},
	} {
		a := r.do("POST", "/api/v1/submit", `{}`, "Prefer", tt.give)
		requireReceipt(t, a)
		require.Equal(t, tt.want, a.Header.Get("Preference-Applied"), tt.give)
		require.Equal(t, []string{"Prefer"}, a.Header.Values("Vary"))
	}
	a := r.do("POST", "/api/v1/submit", `[]`, "Prefer", "wait=7")
	requireProblem(t, a, http.StatusBadRequest, "VALIDATION_ERROR")
	require.Equal(t, "Prefer", a.Header.Get("Vary"))
	require.Empty(t, a.Header.Get("Preference-Applied"), "nothing was")
}

func TestSubmitThatWaitsIsAnsweredAsResponseWouldBe(t *testing.T) {
	t.Parallel()
	response := func(contentType, body string) *domain.Response {
		return &domain.Response{StatusCode: 200, Header: domain.Header{"Content-Type": {contentType}}, Body: []byte(body)}
	}
	for name, tt := range map[string]struct {
		status domain.Status
		give   *domain.Result
		want   string // verbatim
	}{
		"JSON to the byte": {
			domain.Completed,
			&domain.Result{Response: response("application/json", "{ \"<&>\u2028\" : 1e400,\t\"a\":1,\"a\":2 }")},
			"\"result\":{ \"<&>\u2028\" : 1e400,\t\"a\":1,\"a\":2 },",
		},
		"bytes": {
			domain.Completed,
			&domain.Result{Response: response("image/png", "\x00\xff")},
			`"result":"AP8=","result_encoding":"base64",`,
		},
		"a failure":      {domain.Failed, &domain.Result{Error: "no answer"}, `"error":"no answer",`},
		"a cancellation": {domain.Cancelled, nil, `"status":"CANCELLED",`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record := pendingRecord
			record.Status, record.Result = tt.status, tt.give
			waits := make(chan time.Duration, 4)
			r := start(t, ending(func(_ context.Context, id domain.ID, wait time.Duration) (domain.Record, error) {
				require.Equal(t, testID, id)
				waits <- wait
				return record, nil
			}))
			a := r.do("POST", "/api/v1/submit", `{}`, "Prefer", "wait=100")
			require.Equal(t, http.StatusOK, a.StatusCode, a.body)
			require.Equal(t, longestHold, <-waits)
			require.Contains(t, a.body, tt.want)
			require.Equal(t, r.do("GET", responseURL, "").body, a.body)
			require.Equal(t, statusURL, a.Header.Get("Location"))
			require.Equal(t, "wait=55", a.Header.Get("Preference-Applied"))
			require.Equal(t, "Prefer", a.Header.Get("Vary"))
			require.Empty(t, a.Header.Get("Retry-After"), "there is nothing to come again for")
			requireRecordFields(t, a, tt.status)
		})
	}
}

func TestSubmitIsAcceptedWhateverBecomesOfTheWait(t *testing.T) {
	t.Parallel()
	processing := pendingRecord
	processing.Status = domain.Processing
	failed := kept(500, "x", nil)
	failed.Status = domain.Failed
	for name, tt := range map[string]struct {
		record domain.Record
		err    error
		lost   error // the result cannot be read
		want   domain.Status
	}{
		"not final":            {record: processing, want: domain.Processing},
		"the store is away":    {err: ports.ErrUnavailable, want: domain.Pending},
		"the record is gone":   {err: ports.ErrNotFound, want: domain.Pending},
		"nobody foresaw that":  {err: errors.New("cause"), want: domain.Pending},
		"the store went away":  {record: kept(200, "x", nil), lost: ports.ErrUnavailable, want: domain.Completed},
		"failed, and it went":  {record: failed, lost: ports.ErrUnavailable, want: domain.Failed},
		"the record went away": {record: kept(200, "x", nil), lost: ports.ErrNotFound, want: domain.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
				return tt.record, tt.err
			})
			f.find = func(context.Context, domain.ID) (domain.Record, error) { return domain.Record{}, tt.lost }
			r := start(t, f)
			for _, path := range []string{"/api/v1/submit", "/proxy/orders"} {
				a := r.do("POST", path, `{}`, "Prefer", "wait=1")
				requireReceiptWith(t, a, tt.want)
				require.Equal(t, "wait=1", a.Header.Get("Preference-Applied"))
			}
		})
	}
}

func TestARepeatedSubmitWaitsToo(t *testing.T) {
	t.Parallel()
	record := pendingRecord
	record.Status = domain.Completed
	f := ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) { return record, nil })
	f.submit = func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
		require.Equal(t, "key", s.IdempotencyKey)
		return ports.Receipt{ID: testID, SubmittedAt: testNow}, nil
	}
	r := start(t, f)
	requireReceipt(t, r.do("POST", "/api/v1/submit", `{}`, "Idempotency-Key", "key"))
	a := r.do("POST", "/api/v1/submit", `{}`, "Idempotency-Key", "key", "Prefer", "wait=1")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, string(resultDocument(&record)), a.body)
}

func TestDrainAnswersSubmitsThatWaitAtOnce(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 1)
	r := start(t, ending(func(ctx context.Context, _ domain.ID, wait time.Duration) (domain.Record, error) {
		if wait > 0 {
			waiting <- struct{}{}
			<-ctx.Done()
			return domain.Record{}, ctx.Err()
		}
		return pendingRecord, nil
	}))
	go func() {
		<-waiting
		r.server.Drain()
	}()
	for range 2 { // one that waits already, and one that comes during the drain
		requireReceipt(t, r.do("POST", "/api/v1/submit", `{}`, "Prefer", "wait=60"))
	}
}

func TestSubmitThatWaitsHoldsNoRoomForItsBody(t *testing.T) {
	t.Parallel()
	large := `{"payload":"` + strings.Repeat("x", testBodyMax-100) + `"}`
	released, waiting := make(chan struct{}), make(chan struct{})
	r := start(t, ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
		waiting <- struct{}{}
		<-released
		return pendingRecord, nil
	}))
	first := make(chan answer, 1)
	go func() { first <- r.do("POST", "/api/v1/submit", large, "Prefer", "wait=60") }()
	<-waiting
	requireReceipt(t, r.do("POST", "/api/v1/submit", large)) // there is room for one at a time
	close(released)
	requireReceipt(t, <-first)
}

func TestSubmitMayWaitLongerThanTheReadTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, ending(func(ctx context.Context, _ domain.ID, wait time.Duration) (domain.Record, error) {
			select {
			case <-time.After(wait):
				return pendingRecord, nil
			case <-ctx.Done():
				return domain.Record{}, ctx.Err()
			}
		}), func(o *Options) { o.ReadTimeout = 10 * time.Second })
		for range 2 { // the second on the same connection
			began := time.Now()
			requireReceipt(t, r.do("POST", "/api/v1/submit", `{}`, "Prefer", "wait=60"))
			require.Equal(t, longestHold, time.Since(began))
		}
	})
}
