package application_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// submitOptions has no default endpoint, and a clock of another zone that is finer than what is stored.
func submitOptions() application.SubmitOptions {
	return application.SubmitOptions{
		Endpoints: configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{
			"orders":  {Name: "orders"},
			"reports": {Name: "reports", Method: "GET"},
		}}),
		Headers:        domain.HeaderPolicy{Forward: []string{"*"}, Strip: []string{"cookie"}},
		MaxAge:         72 * time.Hour,
		IdempotencyTTL: 24 * time.Hour,
		Now:            func() time.Time { return noon.Add(123 * time.Nanosecond).In(time.FixedZone("", 3600)) },
		NewID:          func() (domain.ID, error) { return "new-id", nil },
	}
}

// valid is the least that is accepted.
func valid() ports.Submission {
	return ports.Submission{Endpoint: "orders", Body: []byte("{}")}
}

// accept submits what must be accepted, and returns the request that the queue gets.
func accept(t *testing.T, opts application.SubmitOptions, s ports.Submission) domain.Request {
	t.Helper()
	ctrl := gomock.NewController(t)
	intake, observer := mocks.NewMockIntake(ctrl), mocks.NewMockObserver(ctrl)
	var got domain.Request
	intake.EXPECT().Accept(gomock.Any(), gomock.Len(1)).DoAndReturn(
		func(_ context.Context, reqs []domain.Request) []ports.Accepted {
			got = reqs[0]
			return []ports.Accepted{{Record: domain.Record{ID: got.ID, SubmittedAt: got.SubmittedAt}}}
		})
	observer.EXPECT().Submitted(gomock.Any(), nil)

	receipt, err := application.NewSubmit(opts, intake, observer).Submit(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, ports.Receipt{ID: got.ID, SubmittedAt: got.SubmittedAt}, receipt)
	return got
}

// refuse submits what must be refused before the queue hears of it, and returns the error.
func refuse(t *testing.T, opts application.SubmitOptions, s ports.Submission) error {
	t.Helper()
	ctrl := gomock.NewController(t)
	intake, observer := mocks.NewMockIntake(ctrl), mocks.NewMockObserver(ctrl)
	receipt, err := application.NewSubmit(opts, intake, observer).Submit(t.Context(), s)
	require.Error(t, err)
	require.Zero(t, receipt)
	return err
}

// TestSubmitForwardsTheOrigin has a client that claims to be another, and a policy that lets nothing of that pass.
func TestSubmitForwardsTheOrigin(t *testing.T) {
	t.Parallel()
	const for7239, forX = "Forwarded", "X-Forwarded-For"
	opts, s := submitOptions(), valid()
	s.Header = domain.Header{for7239: {"for=10.0.0.1"}, forX: {"10.0.0.1"}, "Connection": {"forwarded, x-forwarded-for"}}
	s.Origin = domain.Origin{Address: netip.MustParseAddr("192.0.2.43"), Proto: "https", Host: "hqm.example.com"}
	sent := s.Header.Clone()
	tests := map[domain.Forwarding]domain.Header{
		domain.ForwardingOff: {},
		domain.ForwardingX: {
			forX: {"192.0.2.43"}, "X-Forwarded-Host": {"hqm.example.com"}, "X-Forwarded-Proto": {"https"},
		},
		domain.ForwardingRFC7239: {for7239: {`for=192.0.2.43;host="hqm.example.com";proto=https`}},
	}
	for mode, want := range tests {
		opts.Forwarded = mode
		require.Equal(t, want, accept(t, opts, s).Header)
	}
	delete(s.Header, "Connection")
	opts.Forwarded = domain.ForwardingX
	require.Equal(t, tests[domain.ForwardingX], accept(t, opts, s).Header)
	require.Equal(t, sent[forX], s.Header[forX], "the submission belongs to the caller")
}

func TestSubmitPassesEverythingToTheQueue(t *testing.T) {
	t.Parallel()
	header := domain.Header{
		"X-One": {"a", "b"}, "Cookie": {"c"}, "Connection": {"x-hop"}, "X-Hop": {"1"}, "X-Openhqm-Key": {"secret"},
	}
	sent := header.Clone()
	got := accept(t, submitOptions(), ports.Submission{
		Caller: ports.Caller{Name: "shop"}, Endpoint: "orders", Method: "PUT", Path: "/42", Query: "a=1", Header: header,
		Body: []byte("body"), Priority: 7, Labels: map[string]string{"team": "red"}, Timeout: time.Hour,
		Delay: time.Minute, MaxAttempts: 2, IdempotencyKey: "key",
	})
	require.NotNil(t, got.Idempotency)
	require.NotZero(t, got.Idempotency.Fingerprint)
	want := domain.Request{
		ID: "new-id", Endpoint: "orders", Method: "PUT", Path: "/42", Query: "a=1",
		Header: domain.Header{"X-One": {"a", "b"}}, Body: []byte("body"),
		Owner: "shop", Priority: 7, Labels: map[string]string{"team": "red"},
		SubmittedAt: noon, NotBefore: noon.Add(time.Minute), Deadline: noon.Add(time.Hour), MaxAttempts: 2,
		Idempotency: &domain.Idempotency{
			Key: "key", Fingerprint: got.Idempotency.Fingerprint, ExpiresAt: noon.Add(24 * time.Hour),
		},
	}
	require.Equal(t, want, got)
	require.Equal(t, sent, header, "the client's header is not ours to change")
}

func TestSubmitLeavesOutWhatWasNotSent(t *testing.T) {
	t.Parallel()
	require.Equal(t, domain.Request{
		ID: "new-id", Endpoint: "orders", Header: domain.Header{}, Body: []byte("{}"),
		SubmittedAt: noon, Deadline: noon.Add(72 * time.Hour),
	}, accept(t, submitOptions(), valid()))
}

func TestSubmitEndpoint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		byItself string // the default endpoint
		give     string
		allowed  []string
		want     string
		wantErr  error
	}{
		{"named", "", "orders", nil, "orders", nil},
		{"named, beside a default", "reports", "orders", nil, "orders", nil},
		{"the default", "reports", "", nil, "reports", nil},
		{"unknown", "reports", "nowhere", nil, "", ports.ErrUnknownEndpoint},
		{"in another case", "", "Orders", nil, "", ports.ErrUnknownEndpoint},
		{"allowed", "", "orders", []string{"reports", "orders"}, "orders", nil},
		{"not allowed", "", "orders", []string{"reports"}, "", ports.ErrForbidden},
		{"the default, allowed", "reports", "", []string{"reports"}, "reports", nil},
		{"the default, not allowed", "reports", "", []string{"orders"}, "", ports.ErrForbidden},
		{"every one allowed", "", "orders", []string{}, "orders", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := submitOptions()
			set := *opts.Endpoints.Load()
			set.Default = tt.byItself
			opts.Endpoints = configure(set)
			s := valid()
			s.Endpoint, s.Caller.Endpoints = tt.give, tt.allowed
			if tt.wantErr == nil {
				require.Equal(t, tt.want, accept(t, opts, s).Endpoint)
				return
			}
			require.ErrorIs(t, refuse(t, opts, s), tt.wantErr)
		})
	}
}

func TestSubmitNeedsAnEndpoint(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		&domain.Invalid{Field: "metadata.endpoint", Reason: "is required: no default endpoint is configured"},
		refuse(t, submitOptions(), ports.Submission{Body: []byte("{}")}))
}

func TestSubmitRefusesTargetsByField(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*ports.Submission)
		want domain.Invalid
	}{
		{
			"a path that climbs",
			func(s *ports.Submission) { s.Path = "/a/%2e%2e/b" },
			domain.Invalid{Field: "metadata.path", Reason: "must not have dot segments"},
		},
		{
			"a path without a slash",
			func(s *ports.Submission) { s.Path = "a" },
			domain.Invalid{Field: "metadata.path", Reason: `must begin with "/"`},
		},
		{
			"a query that breaks the request line",
			func(s *ports.Submission) { s.Query = "a=1\r\nHost: other" },
			domain.Invalid{Field: "metadata.query", Reason: "must be percent-encoded (RFC 3986 section 3.4)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := valid()
			tt.give(&s)
			require.Equal(t, &tt.want, refuse(t, submitOptions(), s))
		})
	}
}

// TestSubmitPayload holds that a method which is commonly sent with content needs some.
func TestSubmitPayload(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		endpoint string
		method   string
		body     []byte
		wantErr  string
	}{
		{"POST with one", "orders", "POST", []byte("1"), ""},
		{"POST with an empty one", "orders", "POST", []byte{}, ""},
		{"POST without", "orders", "POST", nil, "payload: is required with the method POST"},
		{"no method, so POST, without", "orders", "", nil, "payload: is required with the method POST"},
		{"PUT without", "orders", "PUT", nil, "payload: is required with the method PUT"},
		{"PATCH without", "orders", "PATCH", nil, "payload: is required with the method PATCH"},
		{"a method of somebody's own without", "orders", "BREW", nil, "payload: is required with the method BREW"},
		{"GET without", "orders", "GET", nil, ""},
		{"GET with one", "orders", "GET", []byte("1"), ""},
		{"HEAD without", "orders", "HEAD", nil, ""},
		{"DELETE without", "orders", "DELETE", nil, ""},
		{"OPTIONS without", "orders", "OPTIONS", nil, ""},
		{"no method where the endpoint's is GET, without", "reports", "", nil, ""},
		{"POST where the endpoint's is GET, without", "reports", "POST", nil, "payload: is required with the method POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := ports.Submission{Endpoint: tt.endpoint, Method: tt.method, Body: tt.body}
			if tt.wantErr != "" {
				err := refuse(t, submitOptions(), s)
				require.ErrorAs(t, err, new(*domain.Invalid))
				require.EqualError(t, err, tt.wantErr)
				return
			}
			got := accept(t, submitOptions(), s)
			require.Equal(t, tt.body, got.Body)
			require.Equal(t, tt.body == nil, got.Body == nil, "no body is not an empty one")
			require.Equal(t, tt.method, got.Method, "the endpoint's may change until it is called")
		})
	}
}

// TestSubmitRanges holds that no adapter is trusted to have looked.
func TestSubmitRanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give ports.Submission
		want string // the field; empty: it is accepted
	}{
		{"the highest priority", ports.Submission{Priority: 9}, ""},
		{"a higher one", ports.Submission{Priority: 10}, "metadata.priority"},
		{"a negative one", ports.Submission{Priority: -1}, "metadata.priority"},
		{"the most attempts", ports.Submission{MaxAttempts: 1000}, ""},
		{"more", ports.Submission{MaxAttempts: 1001}, "metadata.max_attempts"},
		{"less than none", ports.Submission{MaxAttempts: -1}, "metadata.max_attempts"},
		{"a negative timeout", ports.Submission{Timeout: -1}, "metadata.timeout"},
		{"a negative delay", ports.Submission{Delay: -1}, "metadata.delay"},
		{"a delay and a moment", ports.Submission{Delay: 1, NotBefore: noon}, "metadata.not_before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.Endpoint, tt.give.Body = "orders", []byte("{}")
			if tt.want == "" {
				got := accept(t, submitOptions(), tt.give)
				require.Equal(t, tt.give.Priority, got.Priority)
				require.Equal(t, tt.give.MaxAttempts, got.MaxAttempts)
				return
			}
			var invalid *domain.Invalid
			require.ErrorAs(t, refuse(t, submitOptions(), tt.give), &invalid)
			require.Equal(t, tt.want, invalid.Field)
		})
	}
}

func TestSubmitAcceptsAnyMethodWithoutABodyOnPurpose(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PUT", "PROPFIND"} {
		got := accept(t, submitOptions(), ports.Submission{Endpoint: "orders", Method: method, Bodiless: true})
		require.Nil(t, got.Body)
	}
}

// TestCheckReturnsTheErrorOfSubmit holds that Check refuses what no body could make good, and nothing else.
func TestCheckReturnsTheErrorOfSubmit(t *testing.T) {
	t.Parallel()
	submit := application.NewSubmit(submitOptions(), nil, nil)
	for _, s := range []ports.Submission{
		{Endpoint: "nowhere"},
		{Endpoint: "orders", Caller: ports.Caller{Endpoints: []string{"reports"}}},
		{Endpoint: "orders", Path: "/.."},
		{Endpoint: "orders", Method: "TRACE"},
		{Endpoint: "orders", Priority: 10},
		{Endpoint: "orders", Delay: 100 * time.Hour},
		{},
	} {
		s.Body = []byte("1")
		want := refuse(t, submitOptions(), s)
		require.Equal(t, want, submit.Check(s))
		s.Body = nil
		require.Equal(t, want, submit.Check(s))
	}
	require.NoError(t, submit.Check(valid()))
	require.NoError(t, submit.Check(ports.Submission{Endpoint: "orders", Method: "POST"}), "its body may come yet")
}

func TestSubmitWithoutAnID(t *testing.T) {
	t.Parallel()
	noEntropy := errors.New("no entropy")
	opts := submitOptions()
	opts.NewID = func() (domain.ID, error) { return "", noEntropy }
	require.ErrorIs(t, refuse(t, opts, valid()), noEntropy)
}

// TestSubmitAnswers is about what the queue says to a request.
func TestSubmitAnswers(t *testing.T) {
	t.Parallel()
	record := domain.Record{ID: "earlier-id", SubmittedAt: noon.Add(-time.Hour), Status: domain.Completed}
	tests := []struct {
		name    string
		give    ports.Accepted
		want    ports.Receipt
		wantErr error
	}{
		{
			"new",
			ports.Accepted{Outcome: ports.AcceptedNew, Record: domain.Record{ID: "new-id", SubmittedAt: noon}},
			ports.Receipt{ID: "new-id", SubmittedAt: noon},
			nil,
		},
		{
			"the same as an earlier one",
			ports.Accepted{Outcome: ports.AcceptedSame, Record: record},
			ports.Receipt{ID: "earlier-id", SubmittedAt: noon.Add(-time.Hour), Status: domain.Completed},
			nil,
		},
		{
			"another one under the same key",
			ports.Accepted{Outcome: ports.AcceptedMismatch, Record: record},
			ports.Receipt{},
			ports.ErrMismatch,
		},
		{"full", ports.Accepted{Err: ports.ErrFull}, ports.Receipt{}, ports.ErrFull},
		{"not confirmed", ports.Accepted{Err: ports.ErrUnavailable}, ports.Receipt{}, ports.ErrUnavailable},
		{"closed", ports.Accepted{Err: ports.ErrClosed}, ports.Receipt{}, ports.ErrClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctrl := gomock.NewController(t)
			intake, observer := mocks.NewMockIntake(ctrl), mocks.NewMockObserver(ctrl)
			ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
			intake.EXPECT().Accept(ctx, gomock.Len(1)).Return([]ports.Accepted{tt.give})
			observer.EXPECT().Submitted(ctx, tt.wantErr)

			got, err := application.NewSubmit(submitOptions(), intake, observer).Submit(ctx, valid())
			require.ErrorIs(t, err, tt.wantErr)
			require.Equal(t, tt.want, got)
		})
	}
}

type contextKey struct{}

func TestSubmitRefusesMethodsForTheNextHop(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"CONNECT", "TRACE"} {
		_, err := application.NewSubmit(submitOptions(), nil, nil).Submit(t.Context(), ports.Submission{
			Endpoint: "orders", Method: method, Body: []byte("1"),
		})
		var invalid *domain.Invalid
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "metadata.method", invalid.Field)
	}
}
