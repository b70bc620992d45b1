package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// RequestObserver is told of every request that got an answer, for metrics. It never blocks and is safe for concurrent
// use. What the HTTP parser refuses by itself is not told.
type RequestObserver interface {
	// Requested gives a known method or "other", a route pattern such as "/api/v1/status/{id}" or "other", the answer's
	// status code (499 when the client had left), and how long it took, waiting included.
	Requested(method, route string, code int, took time.Duration)
}

// other labels what is not one of ours: labels taken from the request as it is would be without bound.
const other = "other"

// observe is the outermost middleware, so that it sees what panics and unknown routes were answered.
func (a *api) observe(c *gin.Context) {
	started := a.opts.Now()
	defer func() {
		method := knownMethod(c.Request.Method)
		a.opts.Observer.Requested(method, a.route(c), c.Writer.Status(), a.opts.Now().Sub(started))
	}()
	c.Next()
}

// routeKey is where gin keeps the label of a request that is not for one of its routes.
const routeKey = "route"

// route labels a request.
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
