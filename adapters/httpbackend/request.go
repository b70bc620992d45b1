package httpbackend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// The fields that we add, in canonical form.
const (
	headerID          = "X-Openhqm-Id"
	headerAttempt     = "X-Openhqm-Attempt"
	headerCorrelation = "X-Correlation-Id"
	headerIdempotency = "Idempotency-Key"
	headerVia         = "Via"
	headerUserAgent   = "User-Agent"

	// via is our entry in Via: protocol version and a pseudonym (RFC 9110 section 7.6.3). The version should be the one
	// in which the request came. A message of the queue does not say it: some programs write theirs without HTTP, and
	// POST /api/v1/submit carries a request that came in no version at all. What we forward is what 1.1 can say.
	via = "1.1 openhqm"
)

// added are fields that we set as far as the client has not. No other spelling of them may stand beside ours.
var added = map[string]bool{headerCorrelation: true, headerIdempotency: true, headerVia: true}

// header builds what is sent, the stronger over the weaker: the client's fields, the endpoint's, its auth, ours.
func (c *Client) header(ep *endpoint, call ports.Call) domain.Header {
	h := c.policy.Apply(call.Request.Header)
	// The wait for 100 Continue was between the client and us: the body is here (RFC 9110 section 10.1.1).
	delete(h, "Expect")
	for name := range h {
		if folded := domain.FoldName(name); ep.owned[folded] || folded != name && added[folded] {
			delete(h, name)
		}
	}
	maps.Copy(h, ep.fixed)
	id := []string{string(call.Request.ID)}
	h[headerID] = id
	h[headerAttempt] = []string{strconv.Itoa(call.Attempt)}
	h[headerVia] = []string{strings.Join(slices.Concat(h[headerVia], []string{via}), ", ")}
	for _, name := range [...]string{headerCorrelation, headerIdempotency} {
		if !h.Has(name) {
			h[name] = id
		}
	}
	if !h.Has(headerUserAgent) {
		h[headerUserAgent] = nil // net/http makes one up for a header without this key
	}
	return h
}

// sendable says why a call can never be sent. Requests are checked when they are submitted; messages that others put
// into the queue are not.
func sendable(ep *endpoint, call ports.Call, header domain.Header) error {
	if reason := domain.CheckPath(call.Request.Path); reason != "" {
		return errors.New("the path " + reason)
	}
	if reason := domain.CheckQuery(call.Request.Query); reason != "" {
		return errors.New("the query " + reason)
	}
	if err := checkMethod(ep, call.Method); err != nil {
		return err
	}
	return checkFields(header)
}

// checkMethod refuses CONNECT, which asks for a tunnel, and TRACE where the answer would show the client what the
// endpoint's configuration adds, secrets included (RFC 9110 sections 9.3.6 and 9.3.8).
func checkMethod(ep *endpoint, method string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(method): // a method is a token, like a field name
		return errors.New("the method is not a token (RFC 9110 section 9.1)")
	case method == http.MethodConnect, method == http.MethodTrace && len(ep.fixed) > 0:
		return errors.New("the method " + method + " cannot be forwarded")
	default:
		return nil
	}
}

// checkFields holds names and values to RFC 9110 section 5. Its error never repeats a value: it may be a secret.
func checkFields(h domain.Header) error {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return errors.New("a header field has an invalid name")
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("header %s has an invalid value", name)
			}
		}
	}
	return nil
}

// setBody sets an in-memory reader that net/http knows, so that small requests leave in one write. An empty body is
// sent as none, since on the wire they are the same.
func setBody(req *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
}
