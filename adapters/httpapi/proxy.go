package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// proxyRoute is the metrics label of proxied requests, on any address.
const proxyRoute = "/proxy/{endpoint}"

// Transparent is an address where every request is for one endpoint. It looks like the application behind it: nothing
// of the gateway's own is served there, and pages of other sites in a browser are not rejected, even without keys. The
// application gets Origin and Sec-Fetch-Site and decides for itself, as it does without the gateway.
type Transparent struct {
	Address  string // host:port to listen on; empty: there is none
	Endpoint string // its name
}

// front is an entry for proxied requests: any method, path, fields and content.
type front struct {
	endpoint string // of the whole address; empty: the first segment after /proxy/ names it
}

// handler serves the main address. The proxy path bypasses gin's routes, which know only nine methods and match decoded
// paths.
func (a *api) handler() http.Handler {
	routes := a.engine()
	if a.opts.HealthOnly {
		return routes
	}
	proxy := a.proxyEngine(front{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, _, _ := sentTarget(r); strings.HasPrefix(path, proxyPath) {
			proxy.ServeHTTP(w, r)
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// proxyEngine has no routes: every request goes to the front, after the common middleware.
func (a *api) proxyEngine(f front) *gin.Engine {
	mayPages := a.pagesMayNothing
	if f.endpoint != "" {
		mayPages = pagesMayAll
	}
	e := a.emptyEngine()
	e.NoRoute(
		func(c *gin.Context) { c.Set(routeKey, proxyRoute) },
		a.handle(func(c *gin.Context) error { return a.authenticate(c, mayPages) }),
		a.handle(a.limitRate),
		a.handle(a.refuseLoop),
		a.handle(func(c *gin.Context) error { return a.proxy(c, f) }),
	)
	return e
}

// proxy accepts a request unchanged: ANY /proxy/{endpoint}/{path...}. A client that prefers to wait gets the backend's
// response if it comes in time.
func (a *api) proxy(c *gin.Context, f front) error {
	c.Header("Vary", preferField)
	receipt, err := a.acceptProxied(c, f)
	if err != nil {
		return inFields(err)
	}
	a.answerSubmit(c, receipt, a.locationBase(c.Request, f), func(c *gin.Context, record *domain.Record) error {
		return a.replay(c, record, answered{guarded: f.endpoint == ""})
	})
	return nil
}

// acceptProxied checks everything else before it reads the body, which a client that waits for 100 Continue sends only
// then. It drops trailer fields, as RFC 9110 section 6.5.1 allows.
func (a *api) acceptProxied(c *gin.Context, f front) (receipt ports.Receipt, err error) {
	submission, err := a.readHead(c, f)
	if err != nil {
		return receipt, err
	}
	if !submission.Bodiless {
		if err := a.opts.Submitter.Check(submission); err != nil {
			return receipt, err
		}
	}
	content, err := a.bodies.read(c.Writer, c.Request, a.client(c))
	if err != nil {
		return receipt, err
	}
	defer content.release() // only once it is accepted: until then it is in our memory
	if !submission.Bodiless {
		submission.Body = content.data
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	return a.opts.Submitter.Submit(ctx, submission)
}

// readHead makes a submission from everything but the body of a request.
func (a *api) readHead(c *gin.Context, f front) (s ports.Submission, err error) {
	r := c.Request
	asked, err := f.target(r)
	if err != nil {
		return s, err
	}
	if len(r.Method) > envelope.MaxMethod {
		reason := fmt.Sprintf("may have at most %d bytes", envelope.MaxMethod)
		return s, &domain.Invalid{Field: "method", Reason: reason}
	}
	s = ports.Submission{
		Caller: callerOf(c), Origin: a.opts.TrustedProxies.origin(r),
		Endpoint: asked.endpoint, Method: r.Method, Path: asked.path, Query: asked.query,
		Header:   domain.Header(maps.Clone(r.Header)),
		Bodiless: r.ContentLength == 0 && len(r.Header["Content-Length"]) == 0,
	}
	if s.IdempotencyKey, err = idempotencyKey(r.Header[idempotencyField]); err != nil {
		return s, err
	}
	if err := extractOptions(&s); err != nil {
		return s, err
	}
	delete(s.Header, "Expect") // it is for us (RFC 9110 section 10.1.1)
	delete(s.Header, preferField)
	if unknown := unknownPreferences(r.Header[preferField]); len(unknown) > 0 {
		s.Header[preferField] = unknown
	}
	return s, checkFields(s.Header)
}

// target returns the endpoint, path and query that a request is for.
func (f front) target(r *http.Request) (target, error) {
	if f.endpoint == "" {
		return proxyTarget(r)
	}
	return wholeTarget(r, f.endpoint)
}

// checkFields rejects fields that a message cannot carry: it is JSON, and would change what is not UTF-8.
func checkFields(header domain.Header) error {
	lines, size := 0, 0
	for name, values := range header {
		for _, value := range values {
			if !utf8.ValidString(value) {
				return &domain.Invalid{Field: name, Reason: reasonUTF8}
			}
			lines++
			size += len(name) + len(value)
		}
	}
	if lines > envelope.MaxHeaderFields || size > envelope.MaxHeaderBytes {
		return &domain.Invalid{Field: "headers", Reason: reasonHeaders}
	}
	return nil
}

// locationBase returns what a Location begins with. Only the main address serves results, so answers on other addresses
// name it: by Options.PublicURL or, without that, by the host that the client used and the main port.
func (a *api) locationBase(r *http.Request, f front) string {
	if f.endpoint == "" || a.base != "" {
		return a.base
	}
	return "http://" + net.JoinHostPort(hostOf(r), a.mainPort())
}

// hostOf returns the host that a request was sent to, without the port.
func hostOf(r *http.Request) string {
	authority := r.Host
	if authority == "" { // HTTP/1.0
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			authority = local.String()
		}
	}
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return strings.Trim(authority, "[]")
}
