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
	health   *health
	draining context.Context
	labels   map[string]string // of routes, by gin's patterns
}

// newAPI makes the handlers; draining is done from Drain on.
func newAPI(draining context.Context, opts Options) *api {
	return &api{
		opts:     opts,
		base:     strings.TrimSuffix(opts.PublicURL, "/"),
		bodies:   newBodyReader(opts.MaxBodySize, opts.MaxBodyBytes, opts.ReadTimeout),
		health:   newHealth(opts.Version, opts.Probes, opts.Now),
		draining: draining,
		labels:   make(map[string]string),
	}
}

// handler answers a request, or gives the error to answer it with. After an error nothing has been written.
type handler func(c *gin.Context) error

// engine builds the routes. Whatever gin would say in its own words (404, 405, redirects) is turned off or replaced.
func (a *api) engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true // sets Allow
	e.RedirectTrailingSlash = false
	e.ForwardedByClientIP = false // nobody is trusted to speak for another address

	e.Use(a.observe, a.recover, a.closeUnread)
	e.NoRoute(a.handle(func(*gin.Context) error { return errNoRoute }))
	e.NoMethod(a.handle(func(*gin.Context) error { return errNoMethod }))

	e.POST("/api/v1/submit", a.handle(a.submit))
	get(e, statusPath+":id", a.handle(a.status))
	e.DELETE(statusPath+":id", a.handle(a.cancel))
	get(e, "/api/v1/response/:id", a.handle(a.response))

	get(e, "/health", a.handle(a.overall))
	get(e, "/health/live", a.handle(a.live))
	get(e, "/health/ready", a.handle(a.ready))
	get(e, "/metrics", gin.WrapH(a.opts.Metrics))
	for _, route := range e.Routes() {
		a.labels[route.Path] = strings.Replace(route.Path, ":id", "{id}", 1)
	}
	return e
}

// get registers HEAD too: a server supports both (RFC 9110 section 9.1), and net/http leaves the content out.
func get(e *gin.Engine, path string, h gin.HandlerFunc) {
	e.GET(path, h)
	e.HEAD(path, h)
}

// handle is the one place where errors become answers.
func (a *api) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
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

// closeUnread ends the connection with an answer that comes before the body was read: net/http would otherwise read the
// rest first, and the answer wait for a client that may never send it. bodyReader takes it back.
func (a *api) closeUnread(c *gin.Context) {
	if c.Request.ContentLength != 0 {
		c.Header("Connection", "close")
	}
}
