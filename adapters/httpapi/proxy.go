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

// proxyRoute labels requests that are taken as they are, at whichever address.
const proxyRoute = "/proxy/{endpoint}"

// Transparent is an address where all requests are taken as they are, for one endpoint. It looks like the application
// behind it: nothing of the gateway's own is served there, and pages of other sites in a browser are not refused, even
// where no key is asked for. Which of them may do what is the application's to say, by the Origin and Sec-Fetch-Site
// that it gets, as it is without the gateway.
type Transparent struct {
	Address  string // host:port to listen on; empty: there is none
	Endpoint string // its name
}

// front is a way in for requests that are taken as they are, whatever their method, path, fields and content.
type front struct {
	endpoint string // that is all of the address; empty: the first segment after /proxy/ names it
}

// handler serves the main address. The proxy path does not go through gin's routes, which know nine methods and match
// decoded paths.
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

// proxyEngine has no routes: whatever comes is for the front, after the same middleware as everywhere.
func (a *api) proxyEngine(f front) *gin.Engine {
	mayPages := pagesMayNothing
	if f.endpoint != "" {
		mayPages = pagesMayAll
	}
	e := a.emptyEngine()
	e.NoRoute(
		func(c *gin.Context) { c.Set(routeKey, proxyRoute) },
		a.handle(func(c *gin.Context) error { return a.authenticate(c, mayPages) }),
		a.handle(a.limitRate),
		a.handle(func(c *gin.Context) error { return a.proxy(c, f) }),
	)
	return e
}

// proxy takes a request in as it is: ANY /proxy/{endpoint}/{path...}. A client that prefers to wait gets the backend's
// response if it is there in time.
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

// acceptProxied checks all but the body before it reads that: until then a client that waits for 100 Continue has not
// sent it. Trailer fields are dropped, as RFC 9110 section 6.5.1 allows.
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
	defer content.release() // not before it is accepted: until then it is ours to hold
	if !submission.Bodiless {
		submission.Body = content.data
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	return a.opts.Submitter.Submit(ctx, submission)
}

// readHead makes a submission of all but the body of a request.
func (a *api) readHead(c *gin.Context, f front) (s ports.Submission, err error) {
	r := c.Request
	asked, err := f.target(r)
	if err != nil {
		return s, err
	}
	if len(r.Method) > envelope.MaxMethod {
		reason := fmt.Sprintf("may have %d bytes at most", envelope.MaxMethod)
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
	delete(s.Header, "Expect") // it was for us: the content is here by then (RFC 9110 section 10.1.1)
	delete(s.Header, preferField)
	if others := unknownPreferences(r.Header[preferField]); len(others) > 0 {
		s.Header[preferField] = others
	}
	return s, checkFields(s.Header)
}

// target reads what a request asks for.
func (f front) target(r *http.Request) (target, error) {
	if f.endpoint == "" {
		return proxyTarget(r)
	}
	return wholeTarget(r, f.endpoint)
}

// checkFields holds the fields of a request to what a message can say: it is JSON, and would alter what is no UTF-8.
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

// locationBase gives what a Location begins with. Results are on the main address alone, so the answer of another one
// names it: as Options.PublicURL says or, without that, by the host that the client used and the main port.
func (a *api) locationBase(r *http.Request, f front) string {
	if f.endpoint == "" || a.base != "" {
		return a.base
	}
	return "http://" + net.JoinHostPort(hostOf(r), a.mainPort())
}

// hostOf gives the host that a request was sent to, without the port.
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
