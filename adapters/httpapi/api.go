package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gin-gonic/gin"
)

// api holds what the handlers share.
type api struct {
	opts     Options
	base     string // prefix of every Location
	bodies   *bodyReader
	answers  *answerBudget
	health   *health
	index    index
	limiter  *limiter // nil: nobody is limited
	hosts    hosts
	refusals *refusals
	guesses  *limiter      // of wrong keys, per client address
	streams  chan struct{} // a slot for each HTTP/2 request in progress
	mainPort func() string // of the main address, once it is bound
	draining context.Context
	labels   map[string]string // of routes, by gin's patterns
}

// newAPI makes the handlers. The context draining ends with Drain.
func newAPI(draining context.Context, opts Options) *api {
	base := strings.TrimSuffix(opts.PublicURL, "/")
	return &api{
		opts:     opts,
		base:     base,
		bodies:   newBodyReader(opts.MaxBodySize, opts.MaxBodyBytes, opts.ReadTimeout),
		answers:  newAnswerBudget(opts.MaxResponseBytes),
		health:   newHealth(opts.Version, opts.Probes, opts.Now),
		index:    newIndex(&opts, base),
		limiter:  newLimiter(opts.RateLimit),
		hosts:    newHosts(&opts),
		refusals: newRefusals(),
		guesses:  newLimiter(guesses),
		streams:  make(chan struct{}, opts.MaxConnections),
		draining: draining,
		labels:   make(map[string]string),
	}
}

// handler answers a request, or returns the error to answer it with. After an error nothing has been written.
type handler func(c *gin.Context) error

// engine serves the main address. Only engine and adminEngine decide who may use which routes.
func (a *api) engine() *gin.Engine {
	e := a.emptyEngine()
	authenticate := a.handle(func(c *gin.Context) error { return a.authenticate(c, a.pagesMayRead) })
	a.publicRoutes(e)
	if !a.opts.HealthOnly {
		a.clientRoutes(e.Group("", authenticate, a.handle(a.limitRate)))
	}
	a.adminRoutes(e.Group("", authenticate, a.handle(a.requireAdmin)))
	for _, route := range e.Routes() {
		a.labels[route.Path] = strings.Replace(route.Path, ":id", "{id}", 1)
	}
	return e
}

// adminEngine serves the administrative address, where whoever can connect is an administrator. All its routes are also
// routes of engine.
func (a *api) adminEngine() *gin.Engine {
	e := a.emptyEngine()
	trusted := e.Group("", a.handle(func(c *gin.Context) error { return trust(c, a.pagesMayRead) }))
	a.publicRoutes(trusted)
	a.adminRoutes(trusted)
	return e
}

// publicRoutes never need a key: probes have none.
func (a *api) publicRoutes(r gin.IRoutes) {
	get(r, "/", a.handle(a.describe))
	get(r, healthPath, a.handle(a.overall))
	get(r, livePath, a.handle(a.live))
	get(r, readyPath, a.handle(a.ready))
	if !a.opts.HealthOnly {
		get(r, openAPIPath, a.handle(a.openAPI))
	}
}

// clientRoutes are for clients of the gateway.
func (a *api) clientRoutes(r gin.IRoutes) {
	r.POST("/api/v1/submit", a.handle(a.refuseLoop), a.handle(a.submit))
	get(r, statusPath+":id", a.handle(a.status))
	r.DELETE(statusPath+":id", a.handle(a.cancel))
	get(r, "/api/v1/response/:id", a.handle(a.response))
	get(r, "/api/v1/response/:id/raw", a.handle(a.raw))
}

// adminRoutes are for administrators.
func (a *api) adminRoutes(r gin.IRoutes) {
	get(r, "/metrics", gin.WrapH(a.opts.Metrics))
	if !a.opts.HealthOnly {
		a.deadLetterRoutes(r)
		r.POST(backupPath, a.audit, a.handle(a.backup))
	}
}

// emptyEngine has no routes yet. Gin's own answers (404, 405, redirects) are turned off or replaced.
func (a *api) emptyEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true // sets Allow
	e.RedirectTrailingSlash = false
	e.ForwardedByClientIP = false // ProxyTrust decides that

	e.Use(a.observe, a.recover, a.limitSpare, a.limitStreams, a.closeUnread)
	e.NoRoute(a.handle(func(*gin.Context) error { return errNoRoute }))
	e.NoMethod(a.handle(func(*gin.Context) error { return errNoMethod }))
	return e
}

// get registers HEAD too: servers must support both (RFC 9110 section 9.1). net/http omits the content.
func get(r gin.IRoutes, path string, h ...gin.HandlerFunc) {
	r.GET(path, h...)
	r.HEAD(path, h...)
}

// handle is the only place where errors become answers. After an error no later handler runs.
func (a *api) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			c.Abort()
			a.fail(c, err)
		}
	}
}

// recover limits a panic to its request. An answer that has begun is cut off, so that the client does not mistake it
// for a whole one.
func (a *api) recover(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if cause == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is never wrapped
			panic(cause)
		}
		if c.Writer.Written() {
			a.logInternal(c, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
			panic(http.ErrAbortHandler)
		}
		a.fail(c, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	}()
	c.Next()
}

// limitSpare answers only questions about health on connections for which there was no place.
func (a *api) limitSpare(c *gin.Context) {
	if !onSpare(c.Request) {
		return
	}
	c.Header("Connection", "close")
	switch c.FullPath() {
	case healthPath, livePath, readyPath:
	default:
		c.Abort()
		a.fail(c, errNoPlace)
	}
}

// limitStreams allows as many HTTP/2 requests as connections, besides those of livePath. HTTP/2 has many requests on
// one connection, and the memory budgets assume that limit.
func (a *api) limitStreams(c *gin.Context) {
	if c.Request.ProtoMajor < 2 || c.FullPath() == livePath {
		return
	}
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
		c.Next()
	default:
		c.Abort()
		a.fail(c, errBusy)
	}
}

// closeUnread closes the connection after an answer that comes before the body was read. Otherwise net/http would read
// the rest first, and the answer would wait for a client that may never send it. bodyReader undoes this. HTTP/2 does
// not need it, as only the stream ends.
func (a *api) closeUnread(c *gin.Context) {
	if c.Request.ContentLength != 0 && c.Request.ProtoMajor < 2 {
		c.Header("Connection", "close")
	}
}
