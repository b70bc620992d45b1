// Package httpbackend calls the backends of the configured endpoints over HTTP/1.1 or HTTP/2.
//
// It is a gateway in the sense of RFC 9110 section 3.7: bytes pass unchanged. It decompresses nothing, follows no
// redirect, keeps no cookie, uses no proxy from the environment, and adds no field beside its own: a request without a
// User-Agent is sent without one.
package httpbackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Options configure a Client. All sizes are in bytes.
type Options struct {
	Endpoints    []Endpoint
	HeaderPolicy domain.HeaderPolicy // applied to every request, including those of foreign messages
	Pseudonym    string              // our name in Via (RFC 9110 section 7.6.3)

	// MaxResponseSize is the size of the largest response body that is accepted.
	MaxResponseSize int64

	// MaxIdlePerHost is how many unused connections are kept per endpoint: at least the number of concurrent calls, or
	// busy times end in a new connection for every call.
	MaxIdlePerHost int
}

// Client implements ports.Backend. It is safe for concurrent use.
type Client struct {
	endpoints map[string]*endpoint
	policy    domain.HeaderPolicy
	pseudonym string
	maxSize   int64
}

var _ ports.Backend = (*Client)(nil)

// New checks the options and returns a Client. It connects to nothing. Its error names the first fault of every
// endpoint, without any secret.
func New(o Options) (*Client, error) { return new(Client).Next(o, nil) }

// Next returns a Client with other options. An endpoint whose name is in keep uses the connections of the one that c
// has: its URL, TLS and timeouts must be the same. Nothing of c changes, and calls that it has begun go on. The caller
// calls Retire when c gets no more calls.
func (c *Client) Next(o Options, keep map[string]bool) (*Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	next := &Client{
		endpoints: make(map[string]*endpoint, len(o.Endpoints)),
		policy:    o.HeaderPolicy,
		pseudonym: o.Pseudonym,
		maxSize:   o.MaxResponseSize,
	}
	var faults []error
	for i := range o.Endpoints {
		name := o.Endpoints[i].Name
		if _, taken := next.endpoints[name]; taken {
			faults = append(faults, fmt.Errorf("endpoint %q: is configured twice", name))
			continue
		}
		ep, err := newEndpoint(&o.Endpoints[i], o.MaxIdlePerHost)
		if err != nil {
			faults = append(faults, fmt.Errorf("endpoint %q: %w", name, err))
		}
		if before := c.endpoints[name]; before != nil && keep[name] && err == nil {
			ep.pool = before.pool
		}
		next.endpoints[name] = ep
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return next, nil
}

// Retire closes the idle connections of c that next does not use. Its others close after their last call, as in Close.
func (c *Client) Retire(next *Client) {
	for name, ep := range c.endpoints {
		if after := next.endpoints[name]; after == nil || after.pool != ep.pool {
			ep.pool.closeIdle()
		}
	}
}

func (o *Options) check() error {
	switch {
	case o.MaxResponseSize <= 0:
		return errors.New("the response size limit must be positive")
	case o.MaxIdlePerHost <= 0:
		return errors.New("the number of idle connections must be positive")
	case o.Pseudonym == "":
		return errors.New("the name in Via must not be empty")
	default:
		return nil
	}
}

// Renew makes new calls of an endpoint use the Header, Auth and TLS of e; the rest of the endpoint stays. Calls that
// have begun go on. With TLS, their connections get no new calls. When e cannot be used, nothing changes, and the error
// names no secret.
func (c *Client) Renew(e Endpoint) error {
	ep, known := c.endpoints[e.Name]
	if !known {
		return errors.New("there is no such endpoint")
	}
	own, err := newOwnFields(&e)
	if err != nil {
		return err
	}
	ep.own.Store(own)
	if e.TLS != nil {
		ep.pool.renew(e.TLS)
	}
	return nil
}

// Do implements ports.Backend. It blocks until the whole response is read or ctx ends; the whole call has no other time
// limit. An endpoint that is not among the options is a FailureUnsendable. When a backend responds before it has read
// the whole request, the transport may read call.Request.Body for a moment after Do has returned, so its bytes must not
// be reused.
func (c *Client) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	ep, known := c.endpoints[call.Request.Endpoint]
	if !known {
		return nil, newFailure(domain.FailureUnsendable, "the endpoint is not configured in this process")
	}
	req, err := c.newRequest(ep, call)
	if err != nil {
		return nil, &domain.Failure{Kind: domain.FailureUnsendable, Err: err}
	}
	resp, release, err := c.send(ctx, ep, req, call)
	if err != nil {
		return nil, failureOf(ctx, ep.address, err)
	}
	defer release()
	defer resp.Body.Close()
	out, err := c.readResponse(ctx, call, resp)
	if err != nil {
		return nil, failureOf(ctx, ep.address, err)
	}
	return out, nil
}

// Close closes idle connections. It does not cut off running calls: their connections close after the last call, those
// of HTTP/2 90 s later.
func (c *Client) Close() {
	for _, ep := range c.endpoints {
		ep.pool.closeIdle()
	}
}

// Format prints only the type, whatever the verb, because the endpoints hold secrets.
func (c *Client) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "httpbackend.Client") }

// newRequest returns the call as a request of net/http, or why it can never be sent.
func (c *Client) newRequest(ep *endpoint, call ports.Call) (*http.Request, error) {
	own := ep.own.Load()
	header := c.header(own, call)
	if err := sendable(own, call, header); err != nil {
		return nil, err
	}
	return &http.Request{
		Method: call.Method,
		URL:    ep.target(call.Request.Path, call.Request.Query),
		Header: http.Header(header),
	}, nil
}
