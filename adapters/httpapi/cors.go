package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/http/httpguts"
)

// anyOrigin and anyField stand for all in CORS.
const (
	anyOrigin = "*"
	anyField  = "*"
)

// CORS says which pages may use the calls for clients on the main address (the CORS protocol of the Fetch standard).
// Credentials are not among it: a page sends its key itself. The other addresses have no such calls, or belong to an
// application that answers for itself.
type CORS struct {
	Origins []string      // as browsers send them, such as "https://app.example", or "*" for all; empty: no page may
	Headers []string      // names of fields that pages may send, or "*" for all
	MaxAge  time.Duration // how long a browser may remember the answer to a preflight
}

func (c *CORS) allows(origin string) bool {
	return origin != "" && (slices.Contains(c.Origins, origin) || slices.Contains(c.Origins, anyOrigin))
}

// orListed is a rule that also lets pages of listed origins pass. The wildcard lists nobody: without keys it would open
// the gateway to every page that its users visit.
func (a *api) orListed(rule pageRule) pageRule {
	return func(r *http.Request) error {
		err := rule(r)
		if errors.Is(err, errMisdirected) || !slices.Contains(a.opts.CORS.Origins, r.Header.Get("Origin")) {
			return err
		}
		return nil
	}
}

// crossOrigin lets pages of listed origins read answers, errors included, and answers their preflights, which have no
// key. Preflights of others are requests like any other.
func (a *api) crossOrigin(c *gin.Context) {
	if len(a.opts.CORS.Origins) == 0 || !callOfClients(c.Request) {
		return
	}
	header := c.Writer.Header()
	header.Add("Vary", "Origin")
	origin := c.Request.Header.Get("Origin")
	if !a.opts.CORS.allows(origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	method := c.Request.Header.Get("Access-Control-Request-Method")
	if c.Request.Method == http.MethodOptions && httpguts.ValidHeaderFieldName(method) { // a token, as methods are
		a.answerPreflight(c, method)
		c.Abort()
		return
	}
	header.Set("Access-Control-Expose-Headers", anyField)
}

// answerPreflight allows the method that the page asks for: what is done about it, the call itself decides.
func (a *api) answerPreflight(c *gin.Context, method string) {
	header := c.Writer.Header()
	header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", method)
	fields := strings.Join(a.opts.CORS.Headers, ", ")
	if slices.Contains(a.opts.CORS.Headers, anyField) { // "*" itself would leave out Authorization
		fields = strings.Join(c.Request.Header["Access-Control-Request-Headers"], ", ")
	}
	if fields != "" {
		header.Set("Access-Control-Allow-Headers", fields)
	}
	header.Set("Access-Control-Max-Age", strconv.FormatInt(int64(a.opts.CORS.MaxAge/time.Second), 10))
	a.respond(c, http.StatusNoContent, "", nil) // net/http omits the content fields of a 204
}

// callOfClients reports whether a request is for what clientRoutes, the proxy path or the description serve.
func callOfClients(r *http.Request) bool {
	if path, _, _ := sentTarget(r); strings.HasPrefix(path, proxyPath) {
		return true
	}
	path := r.URL.Path
	return path == submitPath || path == openAPIPath ||
		strings.HasPrefix(path, statusPath) || strings.HasPrefix(path, responsePath)
}
