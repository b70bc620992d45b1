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

// Who may do what (+). A record of somebody else is 404 and an endpoint that a key may not use 403, both by the
// use-cases.
//
//	                         health   submit, status, response, cancel   administration and metrics
//	no keys configured       +        +                                  +
//	key missing or unknown   +        401                                401
//	key                      +        +                                  403
//	admin key                +        +, records of all                  +
//	administrative address   +        no such routes                     +, without a key
//
// The proxy path is as submit. Where no key is asked for, pages of other sites in a browser may less, see pageRule.

// Key is what one API key may do. Only its hash is known: whoever reads the configuration cannot use it.
type Key struct {
	SHA256 [sha256.Size]byte
	Caller ports.Caller // with a name
}

// challenge is what a 401 must carry (RFC 9110 section 11.6.1). No registered scheme has its credentials in a field
// other than Authorization, so this one is our own: the key goes into X-OpenHQM-Key as it is.
const challenge = `OpenHQM-Key realm="openhqm"`

var errUnauthorized = errors.New("X-OpenHQM-Key is missing or not known")

var errCrossOrigin = errors.New("a page of another origin may not do this without a key")

// A pageRule refuses requests that a browser makes for a page of another site: where nobody is asked for a key, any
// page that an operator opens could otherwise use his own access. Whatever no browser sent passes, and so does a GET
// from one that does not say for whom it asks, which it need not over plain HTTP to another machine.
type pageRule func(*http.Request) error

var pages = http.NewCrossOriginProtection()

// pagesMayRead is for what is the gateway's own: a page does not see the answers, and reading changes nothing.
func pagesMayRead(r *http.Request) error { return pages.Check(r) }

// pagesMayNothing is for the proxy path: a backend is called whatever the method, so none is safe.
func pagesMayNothing(r *http.Request) error {
	unsafe := r.WithContext(r.Context())
	unsafe.Method = http.MethodPost
	return pages.Check(unsafe)
}

// pagesMayAll is for an address that stands for an application, which has rules of its own.
func pagesMayAll(*http.Request) error { return nil }

// everybody is the caller where nobody is asked for a key.
var everybody = ports.Caller{Admin: true}

// callerKey is where gin keeps a pointer to the caller of a request.
const callerKey = "caller"

// callerOf gives who asks. It panics on a route that no middleware guards: such a route must not exist.
func callerOf(c *gin.Context) ports.Caller {
	caller, known := c.Value(callerKey).(*ports.Caller)
	if !known {
		panic("nobody asked who calls " + c.FullPath())
	}
	return *caller
}

// trust takes whoever can connect for an administrator, but not the pages that he reads.
func trust(c *gin.Context, mayPages pageRule) error {
	c.Request.Header.Del(domain.HeaderKey)
	if mayPages(c.Request) != nil {
		return errCrossOrigin
	}
	c.Set(callerKey, &everybody)
	return nil
}

// authenticate finds out who asks. The key is taken from the request at once: nothing behind can store, forward or log
// it. A page that has one may do what the key may.
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

// wrongKey refuses a key that is not known. Whoever sends many has to connect anew for each: trying keys is slow then,
// and shows in the metrics as 429. A right key is never refused for the wrong ones that others send from behind the
// same address, or any of them could lock out all.
func (a *api) wrongKey(c *gin.Context) error {
	if err := a.take(c, a.guesses, a.address(c)); err != nil {
		c.Header("Connection", "close")
		return err
	}
	return errUnauthorized
}

// requireAdmin comes after authenticate.
func (a *api) requireAdmin(c *gin.Context) error {
	if !callerOf(c).Admin {
		return ports.ErrForbidden
	}
	return nil
}

// findKey compares with every key and every byte, so that the time it takes tells nothing about any of them.
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
