package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatSQSIsAskedForIsCounted(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Header.Get("X-Amz-Target")))
	}))
	t.Cleanup(server.Close)
	s := &store{broker: &process{pid: 7, address: server.Listener.Addr().String()}}
	require.NoError(t, s.ask(t.Context()))
	t.Cleanup(s.asked.close)
	require.Equal(t, 7, s.broker.pid)
	call := func(name string) {
		c, err := connect(t.Context(), s.broker.address)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		request := "POST / HTTP/1.0\r\nX-Amz-Target: AmazonSQS." + name + "\r\nContent-Length: 0\r\n\r\n"
		status, body, err := c.exchange([]byte(request))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "AmazonSQS."+name, string(body))
	}

	call("ReceiveMessage")
	before := s.asked.soFar()
	call("ReceiveMessage")
	call("SendMessageBatch")
	call("SendMessageBatch")

	require.Equal(t, map[string]float64{"ReceiveMessage": 0.25, "SendMessageBatch": 0.5}, s.asked.per(4, before))
	require.Nil(t, (*asked)(nil).soFar())
}
