package httpbackend_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpbackend"
	"github.com/openhqm/openhqm/domain"
)

// BenchmarkDo compares a POST through Do with the same POST through a bare transport, in turns, so that noise hits both
// alike. do/bare is how many times as long Do takes.
func BenchmarkDo(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"accepted","order":4711}`)
	}))
	b.Cleanup(server.Close)
	client, err := httpbackend.New(options(httpbackend.Endpoint{Name: endpointName, URL: server.URL}))
	require.NoError(b, err)
	b.Cleanup(client.Close)
	transport := &http.Transport{DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)

	body := bytes.Repeat([]byte(`{"item":"book"},`), 20)
	call := callOf(http.MethodPost, body)
	call.Request.Header = domain.Header{
		"Content-Type": {"application/json"}, "Accept": {"*/*"}, "Authorization": {"Bearer x"}, "X-Tenant": {"a"},
	}
	sent := http.Header(call.Request.Header.Clone())
	for _, name := range []string{
		"X-Openhqm-Id", "X-Openhqm-Attempt", "Via", "X-Correlation-Id", "Idempotency-Key", "User-Agent",
	} {
		sent.Set(name, "1.1 openhqm")
	}
	var bare, through time.Duration
	for b.Loop() {
		start := time.Now()
		err := postBare(transport, server.URL, sent, body)
		middle := time.Now()
		require.NoError(b, err)
		_, err = client.Do(b.Context(), call)
		through += time.Since(middle)
		bare += middle.Sub(start)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(through)/float64(bare), "do/bare")
}

func postBare(transport *http.Transport, url string, header http.Header, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	req.Header = header
	req.ContentLength = int64(len(body))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}
