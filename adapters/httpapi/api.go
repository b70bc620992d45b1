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
	base     string // what a Location begins with
	bodies   *bodyReader
	answers  *answerBudget
	health   *health
	index    index
	limiter  *limiter      // nil: nobody is limited
	guesses  *limiter      // of wrong keys, by address
	streams  chan struct{} // a slot for each request that HTTP/2 may have under way
	mainPort func() string // of the main address, once it is bound
	draining context.Context
	labels   map[string]string // of routes, by gin's patterns
}

// newAPI makes the handlers; draining is done from Drain on.
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
		guesses:  newLimiter(guesses),
		streams:  make(chan struct{}, opts.MaxConnections),
		draining: draining,
		labels:   make(map[string]string),
	}
}

// handler answers a request, or gives the error to answer it with. After an error nothing has been written.
type handler func(c *gin.Context) error

// engine serves the main address. Who may use which routes stands here and in adminEngine, and nowhere else.
func (a *api) engine() *gin.Engine {
	e := a.emptyEngine()
	authenticate := a.handle(func(c *gin.Context) error { return a.authenticate(c, pagesMayRead) })
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

// adminEngine serves the administrative address, where whoever can connect is an administrator. It has no route that
// engine has not.
func (a *api) adminEngine() *gin.Engine {
	e := a.emptyEngine()
	trusted := e.Group("", a.handle(func(c *gin.Context) error { return trust(c, pagesMayRead) }))
	a.publicRoutes(trusted)
	a.adminRoutes(trusted)
	return e
}

// publicRoutes are open to everybody, always: probes have no keys.
func (a *api) publicRoutes(r gin.IRoutes) {
	get(r, "/", a.handle(a.describe))
	get(r, healthPath, a.handle(a.overall))
	get(r, "/health/live", a.handle(a.live))
	get(r, "/health/ready", a.handle(a.ready))
	if !a.opts.HealthOnly {
		get(r, openAPIPath, a.handle(a.openAPI))
	}
}

// clientRoutes are for everybody who may use the gateway.
func (a *api) clientRoutes(r gin.IRoutes) {
	r.POST("/api/v1/submit", a.handle(a.submit))
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
	}
}

// emptyEngine has no routes yet. Whatever gin would say in its own words (404, 405, redirects) is turned off or
// replaced.
func (a *api) emptyEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true // sets Allow
	e.RedirectTrailingSlash = false
	e.ForwardedByClientIP = false // who may speak for another address is decided in ProxyTrust, not by gin

	e.Use(a.observe, a.recover, a.limitStreams, a.closeUnread)
	e.NoRoute(a.handle(func(*gin.Context) error { return errNoRoute }))
	e.NoMethod(a.handle(func(*gin.Context) error { return errNoMethod }))
	return e
}

// get registers HEAD too: a server supports both (RFC 9110 section 9.1), and net/http leaves the content out.
func get(r gin.IRoutes, path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

// handle is the one place where errors become answers. After an error nothing behind the handler runs.
func (a *api) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			c.Abort()
			a.fail(c, err)
		}
	}
}

// recover keeps a panic to the request that met it. An answer that had begun is cut off, so that nobody takes it for a
// whole one.
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

// limitStreams lets no more requests run over HTTP/2, which has many on one connection, than there may be connections:
// what each may hold in memory is counted on that.
func (a *api) limitStreams(c *gin.Context) {
	if c.Request.ProtoMajor < 2 {
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

// closeUnread ends the connection with an answer that comes before the body was read: net/http would otherwise read the
// rest first, and the answer wait for a client that may never send it. bodyReader takes it back. HTTP/2 has no need of
// it: only the stream ends.
func (a *api) closeUnread(c *gin.Context) {
	if c.Request.ContentLength != 0 && c.Request.ProtoMajor < 2 {
		c.Header("Connection", "close")
	}
}
