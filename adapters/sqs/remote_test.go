package sqs

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// always answers every request with one body.
type always string

func (a always) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(string(a))),
	}, nil
}

// TestAQueueIsCreatedAgainWhileOtherCallersUseIt is for the race detector.
func TestAQueueIsCreatedAgainWhileOtherCallersUseIt(t *testing.T) {
	t.Parallel()
	const url = "http://sqs.invalid/1/requests"
	l, err := newLink(t.Context(), Options{
		Region: "eu-central-1", Endpoint: "http://sqs.invalid", Now: time.Now,
		Credentials: Credentials{KeyID: "test", Secret: "test"},
		HTTPClient:  &http.Client{Transport: always(`{"QueueUrl":"` + url + `"}`)},
	})
	require.NoError(t, err)
	t.Cleanup(l.close)
	r := &remote{link: l, name: "requests", url: url}
	var made error
	var seen string
	var both sync.WaitGroup
	both.Go(func() { made = r.create(t.Context()) })
	both.Go(func() { seen = r.url })
	both.Wait()
	require.NoError(t, made)
	require.Equal(t, url, seen)
}
