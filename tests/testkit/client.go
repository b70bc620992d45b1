package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Client is a user of the HTTP interface. Methods without an error end the test when the answer is not the expected
// one; the others may be called from any goroutine.
type Client struct {
	Address string // host:port

	tb    testing.TB
	http  *http.Client
	bytes *atomic.Int64 // that were sent and received
}

// longWait is how long the client asks the server to wait with its answer. The most that the server does is 55 seconds.
const longWait = "30s"

func newClient(tb testing.TB, address string) *Client {
	tb.Helper()
	c := &Client{Address: address, tb: tb, bytes: new(atomic.Int64)}
	var dialer net.Dialer
	c.http = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return CountedConn{Conn: conn, Bytes: c.bytes}, nil
		},
	}}
	return c
}

// Bytes returns how many bytes the client has sent and received.
func (c *Client) Bytes() int64 { return c.bytes.Load() }

// Answer is a whole HTTP response.
type Answer struct {
	Code   int
	Header http.Header
	Body   []byte
}

// decode reads the body into a document, and fails when the code is another.
func (a *Answer) decode(code int, into any) error {
	if a.Code != code {
		return fmt.Errorf("answered %d in place of %d: %.500s", a.Code, code, a.Body)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("answered %d with a malformed document: %w: %.500s", code, err, a.Body)
	}
	return nil
}

// Receipt returns the receipt of an answer that must be 202.
func (a *Answer) Receipt(tb testing.TB) Receipt {
	tb.Helper()
	var receipt Receipt
	require.NoError(tb, a.decode(http.StatusAccepted, &receipt))
	return receipt
}

// Problem returns the answer's problem document, and ends the test when it has another code or none.
func (a *Answer) Problem(tb testing.TB, code int) Problem {
	tb.Helper()
	var problem Problem
	require.NoError(tb, a.decode(code, &problem))
	require.Equal(tb, "application/problem+json", a.Header.Get("Content-Type"))
	return problem
}

// Call makes one request; path may have a query. It ends when no request of the client moves any more.
func (c *Client) Call(
	ctx context.Context, method, path string, header http.Header, body []byte,
) (*Answer, error) {
	ctx, cancel := patiently(ctx, 2*Patience, c.Bytes) // an answer may be held for one Patience
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &Answer{Code: resp.StatusCode, Header: resp.Header, Body: content}, nil
}

// Get asks for a document of any kind.
func (c *Client) Get(path string) *Answer {
	c.tb.Helper()
	answer, err := c.Call(c.tb.Context(), http.MethodGet, path, nil, nil)
	require.NoError(c.tb, err)
	return answer
}

// Post sends a submit document, good or bad, with header fields beside Content-Type.
func (c *Client) Post(document string, header http.Header) *Answer {
	c.tb.Helper()
	answer, err := c.TryPost(c.tb.Context(), document, header)
	require.NoError(c.tb, err)
	return answer
}

// TryPost sends a submit document, good or bad, with header fields beside Content-Type.
func (c *Client) TryPost(ctx context.Context, document string, header http.Header) (*Answer, error) {
	fields := http.Header{"Content-Type": {"application/json"}}
	for name, values := range header {
		fields[http.CanonicalHeaderKey(name)] = values
	}
	return c.Call(ctx, http.MethodPost, "/api/v1/submit", fields, []byte(document))
}

// TrySubmit sends a submit document; any answer but 202 is an error.
func (c *Client) TrySubmit(ctx context.Context, document string, header http.Header) (Receipt, error) {
	var receipt Receipt
	answer, err := c.TryPost(ctx, document, header)
	if err == nil {
		err = answer.decode(http.StatusAccepted, &receipt)
	}
	return receipt, err
}

// Submit sends a submit document that must be accepted.
func (c *Client) Submit(document string) Receipt {
	c.tb.Helper()
	receipt, err := c.TrySubmit(c.tb.Context(), document, nil)
	require.NoError(c.tb, err)
	return receipt
}

// Status asks where a request stands.
func (c *Client) Status(id string) Status {
	c.tb.Helper()
	var status Status
	require.NoError(c.tb, c.Get("/api/v1/status/"+id).decode(http.StatusOK, &status))
	return status
}

// Response asks for the result once: 202 when there is none yet. wait is the value of ?wait, or empty.
func (c *Client) Response(ctx context.Context, id, wait string) (*Answer, error) {
	path := "/api/v1/response/" + id
	if wait != "" {
		path += "?wait=" + wait
	}
	return c.Call(ctx, http.MethodGet, path, nil, nil)
}

// TryResult waits until the request is final, or ctx ends, and returns its result.
func (c *Client) TryResult(ctx context.Context, id string) (Result, error) {
	for {
		answer, err := c.Response(ctx, id, longWait)
		if err != nil {
			return Result{}, err
		}
		if answer.Code != http.StatusAccepted {
			result := Result{Document: answer.Body}
			return result, answer.decode(http.StatusOK, &result)
		}
	}
}

// Result waits until the request is final, and returns its result.
func (c *Client) Result(id string) Result {
	c.tb.Helper()
	ctx, cancel := Patiently(c.tb)
	defer cancel()
	result, err := c.TryResult(ctx, id)
	require.NoErrorf(c.tb, err, "wait for the result of %s", id)
	return result
}

// Cancel asks to cancel a request: 200, or 409 when it is too late.
func (c *Client) Cancel(ctx context.Context, id string) (*Answer, error) {
	return c.Call(ctx, http.MethodDelete, "/api/v1/status/"+id, nil, nil)
}
