package embedded

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

var (
	moment = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	header = domain.Header{"Accept": {"a", "", "b\x00\xff"}, "X-None": {}, "": {"no name"}}
)

// whole returns an encoded value in one piece.
func whole(v encoded) []byte {
	value := make([]byte, v.size())
	v.copyTo(value)
	return value
}

// fullRow is a row in which no field is zero.
func fullRow() *row {
	return &row{
		Record: domain.Record{
			ID: "id", Endpoint: "orders", Owner: "shop", Priority: 9, Status: domain.Failed,
			SubmittedAt: moment, UpdatedAt: moment.Add(1e3), NextAttemptAt: moment.Add(2e3), Deadline: moment.Add(3e3),
			Attempts: 3, Deliveries: math.MaxInt, ResentFrom: "older", ResponseSize: 1 << 41,
		},
		answered: true, statusCode: 503, token: math.MaxUint64, place: place{seq: 7, due: math.MinInt64}, size: 1 << 40,
		expires: 11, group: 12, idempotency: "k", idempotencyExpires: 13,
		reason: domain.ReasonAttempts, problem: "why", completedAt: moment, processingTime: time.Hour,
	}
}

func TestValuesComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	for _, give := range []*row{fullRow(), {Record: domain.Record{ID: "id"}}} {
		got, err := decodeRow("id", encodeRow(give))
		require.NoError(t, err)
		require.Equal(t, give, got)
	}
	for _, give := range []waiting{{id: "id", queue: queueID{domain.LaneLow, "orders"}, size: 1, since: -1}, {}} {
		got, err := decodeWaiting(encodeWaiting(&give))
		require.NoError(t, err)
		require.Equal(t, give, got)
	}
	for _, give := range []totals{{group: math.MaxUint64, seq: 1, delayed: -1, deadLetters: math.MaxInt64}, {}} {
		got, err := decodeTotals(encodeTotals(&give))
		require.NoError(t, err)
		require.Equal(t, give, got)
	}
	for _, give := range []idempotency{{id: "id", fingerprint: [32]byte{1, 31: 2}, submittedAt: moment, expires: 5}, {}} {
		got, err := decodeIdempotency(encodeIdempotency(&give))
		require.NoError(t, err)
		require.Equal(t, give, got)
	}
	for _, give := range []domain.Response{
		{StatusCode: 200, Header: header, Body: []byte("\x00body")}, {Header: domain.Header{}, Body: []byte{}},
	} {
		got, err := decodeResponse(whole(encodeResponse(&give)))
		require.NoError(t, err)
		require.Equal(t, &give, got)
	}
	queue := &queue{id: queueID{domain.LaneHigh, "orders"}, rows: 3, from: 10, loaded: 9}
	got, err := decodeQueue(queue.id, encodeQueue(queue))
	require.NoError(t, err)
	require.Equal(t, queue, got)
}

func TestRequestsComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	for _, give := range []domain.Request{
		{
			ID: "id", Endpoint: "orders", Method: "POST", Path: "/a", Query: "b", Header: header, Body: []byte("body"),
			Owner: "shop", Priority: 9, Labels: map[string]string{"a": "b", "": ""}, SubmittedAt: moment,
			NotBefore: moment, Deadline: moment, MaxAttempts: -1,
		},
		{ID: "id", Header: domain.Header{}},
		{ID: "id", Header: domain.Header{}, Body: []byte{}},
	} {
		record := domain.Record{
			ID: give.ID, Endpoint: give.Endpoint, Owner: give.Owner, Priority: give.Priority,
			SubmittedAt: give.SubmittedAt, Deadline: give.Deadline,
		}
		value := whole(encodeRequest(&give))
		got, err := decodeRequest(&record, value)
		require.NoError(t, err)
		require.Equal(t, give, got)
		if len(got.Body) > 0 {
			clear(value)
			require.Equal(t, "body", string(got.Body), "the body is a copy")
		}
	}
}

func TestKeysSortByTheirNumbers(t *testing.T) {
	t.Parallel()
	q := queueID{domain.LaneLow, "orders"}
	for _, keys := range [][][]byte{
		{readyKey(q, 0), readyKey(q, 1), readyKey(q, 255), readyKey(q, 256), readyKey(q, math.MaxUint64)},
		{readyKey(q, math.MaxUint64), readyKey(queueID{domain.LaneLow, "orders2"}, 0)},
		{dueKey(0, 9), dueKey(1, 0), dueKey(255, 1), dueKey(256, 0), dueKey(256, 1), dueKey(math.MaxInt64, 0)},
		{timeKey('x', 5), expiryKey(5, 'k', []byte("a")), expiryKey(5, 'k', []byte("b")), timeKey('x', 6)},
	} {
		for i := range keys[1:] {
			require.Negative(t, bytes.Compare(keys[i], keys[i+1]), "%q %q", keys[i], keys[i+1])
		}
	}
	require.Equal(t, q, parseQueueKey(queueKey(q)))
	require.EqualValues(t, 77, trailingSeq(readyKey(q, 77)))
	require.EqualValues(t, 77, trailingSeq(dueKey(5, 77)))
	require.EqualValues(t, 5, keyTime(dueKey(5, 77)))
}

// decoders decodes a value as everything that it may be.
var decoders = map[string]func([]byte) (encoded []byte, err error){
	"row": func(value []byte) ([]byte, error) {
		r, err := decodeRow("id", value)
		return encodeRow(r), err
	},
	"request": func(value []byte) ([]byte, error) {
		r, err := decodeRequest(&domain.Record{}, value)
		return whole(encodeRequest(&r)), err
	},
	"response": func(value []byte) ([]byte, error) {
		r, err := decodeResponse(value)
		return whole(encodeResponse(r)), err
	},
	"waiting": func(value []byte) ([]byte, error) {
		w, err := decodeWaiting(value)
		return encodeWaiting(&w), err
	},
	"totals": func(value []byte) ([]byte, error) {
		t, err := decodeTotals(value)
		return encodeTotals(&t), err
	},
	"idempotency": func(value []byte) ([]byte, error) {
		i, err := decodeIdempotency(value)
		return encodeIdempotency(&i), err
	},
	"letter reference": func(value []byte) ([]byte, error) {
		b, err := decodeLetterRef(value)
		return encodeLetterRef(&b), err
	},
	"queue": func(value []byte) ([]byte, error) {
		q, err := decodeQueue(queueID{}, value)
		return encodeQueue(q), err
	},
}

// FuzzDecode feeds anything to every decoder: none panics, and what one takes comes out the same when it is encoded
// and decoded again.
func FuzzDecode(f *testing.F) {
	f.Add(encodeRow(fullRow()))
	f.Add(whole(encodeRequest(&domain.Request{Header: header, Body: []byte("x"), Labels: map[string]string{"a": "b"}})))
	f.Add(whole(encodeResponse(&domain.Response{StatusCode: 200, Header: header, Body: []byte("x")})))
	f.Add(encodeWaiting(&waiting{id: "id"}))
	f.Add(encodeTotals(&totals{}))
	f.Add(encodeIdempotency(&idempotency{id: "id"}))
	f.Add(encodeLetterRef(&letterRef{at: 1, expires: 2}))
	f.Add(encodeQueue(&queue{}))
	f.Add([]byte{})
	f.Add([]byte{codecVersion + 1})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, value []byte) {
		for name, decode := range decoders {
			encoded, err := decode(value)
			if err != nil {
				require.ErrorIs(t, err, errCorrupt, name)
				continue
			}
			again, err := decode(encoded)
			require.NoError(t, err, name)
			require.Equal(t, encoded, again, name)
		}
	})
}

func TestADamagedValueIsAnError(t *testing.T) {
	t.Parallel()
	for name, value := range map[string][]byte{
		"row":              encodeRow(fullRow()),
		"request":          whole(encodeRequest(&domain.Request{Header: header, Labels: map[string]string{"a": "b"}})),
		"response":         whole(encodeResponse(&domain.Response{StatusCode: 200, Header: header, Body: []byte("x")})),
		"waiting":          encodeWaiting(&waiting{id: "id"}),
		"totals":           encodeTotals(&totals{}),
		"idempotency":      encodeIdempotency(&idempotency{id: "id"}),
		"letter reference": encodeLetterRef(&letterRef{at: 1, expires: 2}),
		"queue":            encodeQueue(&queue{}),
	} {
		for cut := range value {
			if name == "totals" && cut == len(value)-1 {
				continue // what an earlier version wrote
			}
			_, err := decoders[name](value[:cut])
			require.ErrorIs(t, err, errCorrupt, "%s cut to %d bytes", name, cut)
		}
		_, err := decoders[name](append(bytes.Clone(value), 0))
		require.ErrorIs(t, err, errCorrupt, "%s with a byte too many", name)
		_, err = decoders[name](append([]byte{codecVersion + 1}, value[1:]...))
		require.ErrorIs(t, err, errCorrupt, "%s of another version", name)
	}
}

func TestTotalsOfAnEarlierVersionCanBeRead(t *testing.T) {
	t.Parallel()
	want := totals{group: 1, seq: 2, delayed: 3, deadLetters: 4}
	value := encodeTotals(&want)
	got, err := decodeTotals(value[:len(value)-1]) // without the number of accepted requests
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestACorruptCountAsksForLittleMemory is not parallel: it measures what the whole process allocates.
func TestACorruptCountAsksForLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	const size = 8 << 20
	padding := []byte(strings.Repeat("\x00", size))
	for _, prefix := range []func(*encoder){
		func(e *encoder) { e.text(""); e.text(""); e.text(""); e.uint(size / 2) }, // headers
		func(e *encoder) {
			e.text("")
			e.text("")
			e.text("")
			e.uint(1)
			e.text("name")
			e.uint(size / 2)
		}, // values
		func(e *encoder) {
			e.text("")
			e.text("")
			e.text("")
			e.uint(0)
			e.bool(false)
			e.text("")
			e.uint(size)
		},
	} {
		e := newEncoder(size)
		prefix(e)
		// A name that does not end: the fault comes right after the number.
		value := slices.Concat(e.buf, []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, padding)

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeRequest(&domain.Record{}, value)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, errCorrupt)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}
