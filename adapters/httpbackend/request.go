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
	headerUserAgent   = "User-Agent"

	// viaProtocol is the protocol version of our entry in Via (RFC 9110 section 7.6.3). It should be that of the received
	// request, but a queued message has none: foreign messages and the payload of POST /api/v1/submit never were HTTP
	// requests. What we forward can be expressed in 1.1.
	viaProtocol = "1.1 "
)

// added are fields that we set unless the client has. No other spelling of them may be sent beside ours.
var added = map[string]bool{headerCorrelation: true, headerIdempotency: true, domain.HeaderVia: true}

// header returns the fields to send. In rising precedence: the client's, the endpoint's, its auth, ours.
func (c *Client) header(own *ownFields, call ports.Call) domain.Header {
	h := c.policy.Apply(call.Request.Header)
	// 100 Continue was between the client and us; we already have the body (RFC 9110 section 10.1.1).
	delete(h, "Expect")
	for name := range h {
		if folded := domain.FoldName(name); own.names[folded] || folded != name && added[folded] {
			delete(h, name)
		}
	}
	maps.Copy(h, own.fixed)
	id := []string{string(call.Request.ID)}
	h[headerID] = id
	h[headerAttempt] = []string{strconv.Itoa(call.Attempt)}
	hops := slices.Concat(h[domain.HeaderVia], []string{viaProtocol + c.pseudonym})
	h[domain.HeaderVia] = []string{strings.Join(hops, ", ")}
	for _, name := range [...]string{headerCorrelation, headerIdempotency} {
		if !h.Has(name) {
			h[name] = id
		}
	}
	if !h.Has(headerUserAgent) {
		h[headerUserAgent] = nil // without this key net/http would add its own
	}
	return h
}

// sendable returns an error when a call can never be sent. Submitted requests have been checked, but foreign messages
// have not.
func sendable(own *ownFields, call ports.Call, header domain.Header) error {
	if reason := domain.CheckPath(call.Request.Path); reason != "" {
		return errors.New("the path " + reason)
	}
	if reason := domain.CheckQuery(call.Request.Query); reason != "" {
		return errors.New("the query " + reason)
	}
	if err := checkMethod(own, call.Method); err != nil {
		return err
	}
	return checkFields(header)
}

// checkMethod refuses CONNECT, which asks for a tunnel, and TRACE where the response would show the client the fields
// of the endpoint, including secrets (RFC 9110 sections 9.3.6 and 9.3.8).
func checkMethod(own *ownFields, method string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(method): // a method is a token, like a field name
		return errors.New("the method is not a token (RFC 9110 section 9.1)")
	case method == http.MethodConnect, method == http.MethodTrace && len(own.fixed) > 0:
		return errors.New("the method " + method + " cannot be forwarded")
	default:
		return nil
	}
}

// checkFields checks names and values against RFC 9110 section 5. Its error never repeats a value, which may be a
// secret.
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
