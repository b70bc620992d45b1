package codec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
)

var moment = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

func TestRequestsComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give domain.Request
	}{
		{"nothing", domain.Request{Header: domain.Header{}}},
		{"no body is not an empty one", domain.Request{Header: domain.Header{}, Body: []byte{}}},
		{"everything", domain.Request{
			ID: "1", Endpoint: "orders", Method: "PUT", Path: "/a%20b", Query: "c=d&c=",
			Header: domain.Header{"X-One": {"2", "1"}, "X-Empty": {""}, "X-Bytes": {"caf\xe9"}},
			Body:   []byte("\x00\xff"), Owner: "shop", Priority: 9,
			Labels:      map[string]string{"": "no name", "empty": ""},
			SubmittedAt: moment, NotBefore: moment.Add(time.Microsecond), Deadline: moment.Add(time.Hour),
			MaxAttempts: 7, ResentFrom: "older",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec, err := DecodeFacts(tt.give.ID, append(EncodeFacts(&tt.give), 99, 1, 'x')) // a field of a later version
			require.NoError(t, err)
			got, err := DecodeRequest(&rec, append(EncodeRequest(&tt.give), 99, 0))
			require.NoError(t, err)
			require.Equal(t, tt.give, got)
		})
	}
}

func TestResponsesComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	want := &domain.Response{
		StatusCode: 599, Header: domain.Header{"Set-Cookie": {"a=1", "b=2"}}, Body: []byte("\x1f\x8b\x00"),
	}
	got, err := DecodeResponse(EncodeResponse(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFactsOfNothingAreNoRecord(t *testing.T) {
	t.Parallel()
	_, err := DecodeFacts("1", nil)
	require.ErrorIs(t, err, errCorrupt)
}

func TestDamagedValuesAreErrors(t *testing.T) {
	t.Parallel()
	whole := EncodeResponse(&domain.Response{StatusCode: 200, Header: domain.Header{"A": {"b"}}, Body: []byte("body")})
	fieldEnds := map[int]bool{0: true}
	at := 0
	require.NoError(t, decode(whole, func(_ uint64, v []byte) {
		at += 2 + len(v) // number and length are short here
		fieldEnds[at] = true
	}))
	for n := range whole {
		_, err := DecodeResponse(whole[:n])
		if fieldEnds[n] {
			require.NoError(t, err, "cut at %d", n)
		} else {
			require.ErrorIs(t, err, errCorrupt, "cut at %d", n)
		}
	}
}

func TestDecodingTakesAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		read := 0
		err := decode(value, func(_ uint64, v []byte) { read += len(v) })
		require.LessOrEqual(t, read, len(value))
		if err == nil {
			_, err = DecodeRequest(&domain.Record{}, value)
			require.NoError(t, err)
		}
	})
}

func TestMillisAreNeverTooEarly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.UnixMilli(1000), 1000},
		{time.UnixMilli(1000).Add(1), 1001},
		{time.UnixMilli(1000).Add(999 * time.Microsecond), 1001},
	} {
		require.Equal(t, tt.want, Millis(tt.give))
	}
}
