package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestParseFilterQuery(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)
	for _, tt := range []struct {
		give string
		want ports.DeadLetterFilter
	}{
		{"", ports.DeadLetterFilter{Limit: 100}},
		{"endpoint=&reason=&before=", ports.DeadLetterFilter{Limit: 100}},
		{"limit=1", ports.DeadLetterFilter{Limit: 1}},
		{"limit=1000&endpoint=a%20b", ports.DeadLetterFilter{Limit: 1000, Endpoint: "a b"}},
		{"reason=max_deliveries", ports.DeadLetterFilter{Limit: 100, Reason: domain.ReasonMaxDeliveries}},
		{
			"before=2026-03-04T05:06:07.891Z",
			ports.DeadLetterFilter{Limit: 100, Before: ports.DeadLetterPlace{FailedAt: at}},
		},
		{
			"before=2026-03-04T06:06:07.891%2B01:00,an-id.1",
			ports.DeadLetterFilter{Limit: 100, Before: ports.DeadLetterPlace{FailedAt: at, ID: "an-id.1"}},
		},
	} {
		got, err := parseFilterQuery(tt.give)
		require.NoError(t, err, tt.give)
		require.True(t, tt.want.Before.FailedAt.Equal(got.Before.FailedAt), tt.give)
		got.Before.FailedAt = tt.want.Before.FailedAt
		require.Equal(t, tt.want, got, tt.give)
	}
}

func TestParseResendOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give     string
		want     ports.DeadLetterFilter
		wantRate int
	}{
		{`{}`, ports.DeadLetterFilter{Limit: 100}, 100},
		{
			` {"endpoint": "orders", "reason": "deadline", "before": "2026-03-04T05:06:07Z,x", "limit": 7, "rate": 10000} `,
			ports.DeadLetterFilter{
				Endpoint: "orders", Reason: domain.ReasonDeadline, Limit: 7,
				Before: ports.DeadLetterPlace{FailedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), ID: "x"},
			},
			10000,
		},
	} {
		got, rate, err := parseResendOrder([]byte(tt.give))
		require.NoError(t, err, tt.give)
		require.Equal(t, tt.want, got)
		require.Equal(t, tt.wantRate, rate)
	}
}

func TestPlacesComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	want := ports.DeadLetterPlace{FailedAt: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC), ID: testID}
	got, err := parsePlace("before", placeText(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestBadFiltersAreRefusedByName(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
		list: func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
			return ports.DeadLetterPage{}, nil
		},
		resendMany: func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error) {
			return ports.ResentPage{}, nil
		},
	}))
	for give, field := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=": "limit", "limit=ten": "limit", "limit=-1": "limit",
		"reason=bad_luck": "reason", "reason=DEADLINE": "reason", "before=yesterday": "before",
		"before=1772600767": "before", "before=2026-03-04T05:06:07Z,": "before",
		"before=2026-03-04T05:06:07Z,a,b": "before", "before=,x": "before", "before=2026-03-04T06:06:07+01:00": "before",
		"status=FAILED": "status", "Limit=1": "Limit", "endpoint=a&endpoint=b": "endpoint", "%zz": "query",
		"endpoint=" + strings.Repeat("a", 129): "endpoint",
	} {
		p := requireProblem(t, r.do("GET", deadLettersPath+"?"+give, ""), http.StatusBadRequest, "VALIDATION_ERROR")
		require.Equal(t, field, p["field"], give)
	}
	for give, field := range map[string]string{
		`[]`: "body", `{`: "body", `{"limit":0}`: "limit", `{"limit":1001}`: "limit", `{"limit":"7"}`: "limit",
		`{"rate":0}`: "rate", `{"rate":10001}`: "rate", `{"rate":1.5}`: "rate", `{"reason":"x"}`: "reason",
		`{"reason":null}`: "reason", `{"before":7}`: "before", `{"before":"x"}`: "before", `{"ids":[]}`: "ids",
		`{"endpoint":["a"]}`: "endpoint", `{"limit":1,"limit":2}`: "limit",
	} {
		p := requireProblem(t, r.do("POST", deadLettersPath+"/resend", give), http.StatusBadRequest, "VALIDATION_ERROR")
		require.Equal(t, field, p["field"], give)
	}
	a := r.do("POST", deadLettersPath+"/resend", "{}", "Content-Type", "text/plain")
	requireProblem(t, a, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
}

func FuzzParsePlace(f *testing.F) {
	for _, seed := range []string{
		"", ",", "2026-03-04T05:06:07Z", "2026-03-04T05:06:07.891Z,id", "9999-12-31T23:59:59Z,a,b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parsePlace("before", text)
		if err != nil || place.ID == "" {
			return
		}
		again, err := parsePlace("before", placeText(place))
		require.NoError(t, err)
		require.Equal(t, place.ID, again.ID)
		require.Less(t, place.FailedAt.Sub(again.FailedAt), time.Millisecond)
	})
}
