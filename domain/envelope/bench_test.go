package envelope_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// benchMessage has a JSON payload of 1 KB.
func benchMessage() envelope.Message {
	item := `{"sku":"A-1234","name":"a \"good\" thing","price":12.5,"tags":["x","y"],"stock":null},`
	payload := `{"items":[` + strings.Repeat(item, 12)
	payload = payload[:len(payload)-1] + `]}`
	return envelope.Message{Request: domain.Request{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", Endpoint: "orders", Path: "/v1/orders", Body: []byte(payload),
		Header: domain.Header{
			"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"curl/8.5.0"},
			"X-Correlation-Id": {"abc"},
		},
		SubmittedAt: submitted, Deadline: submitted.AddDate(0, 0, 3),
	}}
}

// BenchmarkJSONValid is the floor: what checking the whole message costs.
func BenchmarkJSONValid(b *testing.B) {
	m := benchMessage()
	document := envelope.Append(nil, &m)
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if !json.Valid(document) {
			b.Fatal("the message is not JSON")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	m := benchMessage()
	var document []byte
	b.ReportAllocs()
	for b.Loop() {
		document = envelope.Append(nil, &m)
	}
	b.SetBytes(int64(len(document)))
}

func BenchmarkDecode(b *testing.B) {
	m := benchMessage()
	document := envelope.Append(nil, &m)
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.Decode(document, arrived, limit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResult(b *testing.B) {
	m := benchMessage()
	r := envelope.Result{ID: m.Request.ID, Status: domain.Completed, Result: domain.Result{
		Response:    &domain.Response{StatusCode: 200, Header: m.Request.Header, Body: m.Request.Body},
		CompletedAt: submitted,
	}}
	b.ReportAllocs()
	for b.Loop() {
		envelope.AppendResult(nil, &r)
	}
}

// TestAllocations holds that a longer body costs no more allocations: it is spliced.
//
//nolint:paralleltest // AllocsPerRun counts what the whole process allocates
func TestAllocations(t *testing.T) {
	m := benchMessage()
	document := envelope.Append(nil, &m)
	small := m
	small.Request.Body = []byte(`{}`)
	smallDocument := envelope.Append(nil, &small)
	appends := func(m *envelope.Message) float64 {
		return testing.AllocsPerRun(100, func() { envelope.Append(nil, m) })
	}
	decodes := func(document []byte) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = envelope.Decode(document, arrived, limit) })
	}
	require.InDelta(t, appends(&small), appends(&m), 1)
	require.InDelta(t, decodes(smallDocument), decodes(document), 1)
}
