// Package echobackend is the built-in endpoint "echo". It responds with what it was sent, so that the gateway can be
// tried without any backend.
package echobackend

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Backend implements ports.Backend without a network. It is safe for concurrent use.
type Backend struct{}

var _ ports.Backend = Backend{}

// Do returns a response 200 with a JSON object of method, path, query, headers and body, for any endpoint and without
// blocking. A body of valid JSON is embedded byte for byte; other UTF-8 text is a string; anything else is base64, and
// body_encoding says so; no body is null. Bytes of path, query and headers that are not UTF-8 become U+FFFD. The
// response to HEAD has no body. Do returns an error, a *domain.Failure, only when ctx has ended before.
func (Backend) Do(ctx context.Context, call ports.Call) (*domain.Response, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	body := describe(call)
	header := domain.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(body))},
	}
	if call.Method == http.MethodHead {
		body = nil
	}
	return &domain.Response{StatusCode: http.StatusOK, Header: header, Body: body}, nil
}

func ended(ctx context.Context) *domain.Failure {
	if errors.Is(context.Cause(ctx), ports.ErrInterrupted) {
		return &domain.Failure{Kind: domain.FailureInterrupted, Err: errors.New("the call was cut off by this process")}
	}
	return &domain.Failure{Kind: domain.FailureTimeout, Err: errors.New("no time was left for the attempt")}
}

// describe writes the object by hand, because encoding/json would reformat and escape the embedded body.
func describe(call ports.Call) []byte {
	req := call.Request
	var b bytes.Buffer
	b.Grow(len(req.Body) + 512)
	b.WriteString(`{"method":`)
	writeString(&b, call.Method)
	b.WriteString(`,"path":`)
	writeString(&b, req.Path)
	b.WriteString(`,"query":`)
	writeString(&b, req.Query)
	b.WriteString(`,"headers":`)
	writeHeader(&b, req.Header)
	b.WriteString(`,"body":`)
	writeBody(&b, req.Body)
	b.WriteByte('}')
	return b.Bytes()
}

// writeHeader writes fields as a submit has them: a string, or a list of strings when the field is repeated.
func writeHeader(b *bytes.Buffer, h domain.Header) {
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(h)) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, name)
		b.WriteByte(':')
		writeValues(b, h[name])
	}
	b.WriteByte('}')
}

func writeValues(b *bytes.Buffer, values []string) {
	if len(values) == 1 {
		writeString(b, values[0])
		return
	}
	b.WriteByte('[')
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, value)
	}
	b.WriteByte(']')
}

func writeBody(b *bytes.Buffer, body []byte) {
	switch {
	case body == nil:
		b.WriteString("null")
	case json.Valid(body):
		b.Write(body)
	case utf8.Valid(body):
		writeString(b, string(body))
	default:
		writeString(b, base64.StdEncoding.EncodeToString(body))
		b.WriteString(`,"body_encoding":"base64"`)
	}
}

// writeString writes a JSON string without escaping <, > and &, so that people can read it.
func writeString(b *bytes.Buffer, s string) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)   // a string into memory cannot fail
	b.Truncate(b.Len() - 1) // the newline that Encode adds
}
