package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// RequestObserver counts answered requests, for metrics. It must not block, and must be safe for concurrent use.
// Requests that the HTTP parser rejects are not counted.
type RequestObserver interface {
	// Requested is called once for each answer. The method is a known one or "other", the route a pattern such as
	// "/api/v1/status/{id}" or "other", the code the answer's status. It is 499 when what the client asked for was
	// given up because the client had left; a request that was accepted after its client had left is a 202. The time
	// includes waiting.
	Requested(method, route string, code int, took time.Duration)
}

// other is the label of unknown methods and routes: labels from the request itself would be unbounded.
const other = "other"

// observe is the outermost middleware, so that it sees the answers to panics and unknown routes.
func (a *api) observe(c *gin.Context) {
	started := a.opts.Now()
	defer func() {
		method := knownMethod(c.Request.Method)
		a.opts.Observer.Requested(method, a.route(c), c.Writer.Status(), a.opts.Now().Sub(started))
	}()
	c.Next()
}

// routeKey is the key in gin's context for the label of a request without a gin route.
const routeKey = "route"

// route returns the label of a request.
func (a *api) route(c *gin.Context) string {
	if label := c.GetString(routeKey); label != "" {
		return label
	}
	if label, known := a.labels[c.FullPath()]; known {
		return label
	}
	return other
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return other
	}
}
