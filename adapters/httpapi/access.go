package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Who may do what (+). The use-cases add two rules: a record of another key is 404, and an endpoint that a key may not
// use is 403.
//
//	                         health   submit, status, response, cancel   administration and metrics
//	no keys configured       +        +                                  +, or 403 if there is an administrative address
//	key missing or unknown   +        401                                401
//	key                      +        +                                  403
//	admin key                +        +, records of all                  +
//	administrative address   +        no such routes                     +, without a key
//
// The proxy path is treated as submit, GET / as health. Where no key is needed, pages of other sites in a browser may
// do less; see pageRule. There, and at the administrative address, the Host must be ours; see hosts.

// Key says what one API key may do. Only its hash is known, so the configuration does not reveal the key.
type Key struct {
	SHA256 [sha256.Size]byte
	Caller ports.Caller // with a name
}

// challenge is what a 401 must carry (RFC 9110 section 11.6.1). The scheme is our own, because all registered ones send
// their credentials in Authorization. Ours are sent in X-OpenHQM-Key, unencoded.
const challenge = `OpenHQM-Key realm="openhqm"`

var errUnauthorized = errors.New("X-OpenHQM-Key is missing or unknown")

// errElsewhere: whoever sets an address for administration wants nobody else to administer.
var errElsewhere = errors.New("without API keys, administration and metrics are at server.admin_listen only")

var errCrossOrigin = errors.New("pages of other origins may not do this without an API key")

// A pageRule rejects requests that a browser makes for a page of another site. Without keys, any page that an operator
// opens could otherwise use the operator's access. Requests that no browser sent pass. So does a GET from a browser
// that does not name the page, which it need not over plain HTTP to another machine.
type pageRule func(*http.Request) error

var pages = http.NewCrossOriginProtection()

// pagesMayRead is for the gateway's own resources: reading changes nothing, and the page cannot see the response.
func (a *api) pagesMayRead(r *http.Request) error {
	if err := a.hosts.check(r); err != nil {
		return err
	}
	return pages.Check(r)
}

// pagesMayNothing is for the proxy path: any method calls a backend, so none is safe.
func (a *api) pagesMayNothing(r *http.Request) error {
	if err := a.hosts.check(r); err != nil {
		return err
	}
	unsafe := r.WithContext(r.Context())
	unsafe.Method = http.MethodPost
	return pages.Check(unsafe)
}

// pagesMayAll is for the transparent address: the application behind it has rules of its own.
func pagesMayAll(*http.Request) error { return nil }

// everybody is the caller where no key is needed.
var everybody = ports.Caller{Admin: true}

// callerKey is where gin keeps a pointer to the caller of a request.
const callerKey = "caller"

// callerOf returns who makes the request. It panics on a route without authentication: such a route must not exist.
func callerOf(c *gin.Context) ports.Caller {
	caller, known := c.Value(callerKey).(*ports.Caller)
	if !known {
		panic("route without authentication: " + c.FullPath())
	}
	return *caller
}

// trust treats whoever can connect as an administrator, but not the pages that they read.
func trust(c *gin.Context, mayPages pageRule) error {
	c.Request.Header.Del(domain.HeaderKey)
	err := mayPages(c.Request)
	switch {
	case errors.Is(err, errMisdirected):
		return err
	case err != nil:
		return errCrossOrigin
	}
	c.Set(callerKey, &everybody)
	return nil
}

// authenticate finds the caller. It removes the key from the request, so that nothing later can store, forward or log
// it. A page that sends a key may do what the key may.
func (a *api) authenticate(c *gin.Context, mayPages pageRule) error {
	presented := c.Request.Header[domain.HeaderKey]
	c.Request.Header.Del(domain.HeaderKey)
	if len(a.opts.Keys) == 0 {
		return trust(c, mayPages)
	}
	if len(presented) != 1 {
		return errUnauthorized
	}
	caller, known := findKey(a.opts.Keys, presented[0])
	if !known {
		return a.wrongKey(c)
	}
	c.Set(callerKey, &caller)
	return nil
}

// guesses bounds the wrong keys of one client address.
var guesses = RateLimit{RPS: 1, Burst: 10}

// wrongKey rejects an unknown key. A client that sends many must reconnect for each, which slows guessing down and
// shows in the metrics as 429. A correct key is never rejected because of wrong ones from the same address: otherwise
// one client could lock out all others behind a shared address.
func (a *api) wrongKey(c *gin.Context) error {
	if err := a.spend(c, a.guesses, a.address(c)); err != nil {
		c.Header("Connection", "close")
		return err
	}
	return errUnauthorized
}

var errLoop = errors.New(
	"this gateway forwarded the request to itself (Via has its name): check the endpoint's url, or set proxy.via")

// refuseLoop rejects what this gateway has forwarded before. Otherwise it would accept and forward it for ever.
func (a *api) refuseLoop(c *gin.Context) error {
	if domain.Header(c.Request.Header).PassedThrough(a.opts.Pseudonym) {
		return errLoop
	}
	return nil
}

// requireAdmin comes after authenticate.
func (a *api) requireAdmin(c *gin.Context) error {
	switch {
	case !callerOf(c).Admin:
		return ports.ErrForbidden
	case len(a.opts.Keys) == 0 && a.opts.AdminAddress != "":
		return errElsewhere
	default:
		return nil
	}
}

// findKey compares with every key and every byte, so that its duration reveals nothing about any of them.
func findKey(keys []Key, presented string) (caller ports.Caller, known bool) {
	hash := sha256.Sum256([]byte(presented))
	found := -1
	for i := range keys {
		equal := subtle.ConstantTimeCompare(hash[:], keys[i].SHA256[:])
		found = subtle.ConstantTimeSelect(equal, i, found)
	}
	if found < 0 {
		return ports.Caller{}, false
	}
	return keys[found].Caller, true
}
