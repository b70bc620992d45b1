package httpapi

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"
)

// A provocation makes the gateway return an answer that the document describes.
type provocation struct {
	operation string // "POST /api/v1/submit"
	name      string // of the case; empty: the status says it all
	want      int
	replayed  bool // it is a backend's

	target string // empty: the path of the operation, with testID
	body   func(*testing.T) io.Reader
	host   string   // empty: one that is ours
	header []string // names and values
	app    *fakes
	change func(*Options)
	before func(*rig)
}

// exampleBodies are for the operations that want one.
var exampleBodies = map[string]string{
	"POST /api/v1/submit":              `{"payload":{"order":17}}`,
	"POST /api/v1/dead-letters/resend": `{"limit":10}`,
}

func (p *provocation) method() string {
	method, _, _ := strings.Cut(p.operation, " ")
	return method
}

func (p *provocation) url() string {
	if p.target != "" {
		return p.target
	}
	_, path, _ := strings.Cut(p.operation, " ")
	return strings.NewReplacer("{id}", string(testID), "{endpoint}", "orders", "{path}", "a/b%2Fc?d=e").Replace(path)
}

func (p *provocation) content(t *testing.T) io.Reader {
	t.Helper()
	if p.body != nil {
		return p.body(t)
	}
	if example, ok := exampleBodies[p.operation]; ok {
		return strings.NewReader(example)
	}
	return nil
}

func TestEveryAnswerIsAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	for _, p := range provocations() {
		t.Run(fmt.Sprint(p.operation, " ", p.want, " ", p.name), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { provoke(t, &p) })
		})
	}
}

func TestEveryAnswerOfTheDocumentIsProvoked(t *testing.T) {
	t.Parallel()
	var documented []string
	for path, item := range load(t, published).Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				documented = append(documented, method+" "+path+" "+strings.Replace(status, "default", "0", 1))
			}
		}
	}
	provoked := make(map[string]bool)
	for _, p := range provocations() {
		status := p.want
		if p.replayed && status != http.StatusPartialContent && status != http.StatusNotModified {
			status = 0
		}
		provoked[fmt.Sprint(p.operation, " ", status)] = true
	}
	require.ElementsMatch(t, documented, slices.Collect(maps.Keys(provoked)))
}

// provoke asks a server that is set up for it, and holds request and answer against the document.
func provoke(t *testing.T, p *provocation) {
	t.Helper()
	app := p.app
	if app == nil {
		app = wellApp()
	}
	change := p.change
	if change == nil {
		change = func(*Options) {}
	}
	r := startPiped(t, app, withDeadLetters(wellLetters()), change)
	if p.before != nil {
		p.before(r)
	}
	request, err := http.NewRequestWithContext(t.Context(), p.method(), "http://gateway"+p.url(), p.content(t))
	require.NoError(t, err)
	if p.host != "" {
		request.Host = p.host
	}
	if _, wanted := exampleBodies[p.operation]; wanted {
		request.Header.Set("Content-Type", jsonType)
	}
	for i := 0; i < len(p.header); i += 2 {
		request.Header.Set(p.header[i], p.header[i+1])
	}
	response, err := r.client.Do(request)
	require.NoError(t, err)
	a := readAnswer(t, response)
	require.Equal(t, p.want, a.StatusCode, a.body)
	require.Equal(t, p.replayed, a.Header.Get(headerReplay) != "")
	requireDocumented(t, request, a)
}

// requireDocumented checks an answer against the document: status, media type, header fields, content. A request that
// was well must be as the document has it, too.
func requireDocumented(t *testing.T, request *http.Request, a answer) {
	t.Helper()
	route, params := findRoute(t, request)
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus:             true,
			RejectWhenRequestBodyNotSpecified: true,
		},
	}
	if a.StatusCode < http.StatusBadRequest {
		content, err := contentOf(request)
		require.NoError(t, err)
		request.Body = content
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), input))
	}
	documented := documentedAnswer(route.Operation, a)
	require.NotNil(t, documented)
	requireDocumentedFields(t, documented, a)
	if len(documented.Content) == 0 {
		require.Empty(t, a.body)
	}
	if a.Header.Get(headerReplay) != "" {
		return // content and fields are the backend's
	}
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.StatusCode, Header: a.Header,
		Body: io.NopCloser(strings.NewReader(a.body)), Options: input.Options,
	}), a.body)
	require.Subset(t, fieldsOf(documented), slices.Collect(maps.Keys(a.Header)))
}

func contentOf(request *http.Request) (io.ReadCloser, error) {
	if request.GetBody == nil {
		return http.NoBody, nil
	}
	return request.GetBody()
}

// documentedAnswer returns what the document says of an answer. A backend's answer is the default, whatever its status,
// except where the document says that the answer of a status can be a backend's.
func documentedAnswer(operation *openapi3.Operation, a answer) *openapi3.Response {
	documented := operation.Responses.Status(a.StatusCode)
	if documented == nil || a.Header.Get(headerReplay) != "" && documented.Value.Headers["X-OpenHQM-Replay"] == nil {
		documented = operation.Responses.Default()
	}
	if documented == nil {
		return nil
	}
	return documented.Value
}

// general are the fields that any answer may have (RFC 9110), beside those that the document says.
var general = []string{
	"Allow", "Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "Vary", "X-Content-Type-Options",
}

// fieldsOf returns the names of the fields that an answer may have.
func fieldsOf(documented *openapi3.Response) []string {
	names := slices.Clone(general)
	for name := range documented.Headers {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	return names
}

// requireDocumentedFields looks for those that every such answer has.
func requireDocumentedFields(t *testing.T, documented *openapi3.Response, a answer) {
	t.Helper()
	for name, header := range documented.Headers {
		require.True(t, !header.Value.Required || a.Header.Get(name) != "", name)
	}
}

// findRoute returns the operation of a request and the parameters in its path. A literal segment counts more than a
// parameter.
func findRoute(t *testing.T, request *http.Request) (*routers.Route, map[string]string) {
	t.Helper()
	document := load(t, strict)
	var best string
	var params map[string]string
	for template := range document.Paths.Map() {
		if found, ok := matchPath(template, request.URL.EscapedPath()); ok && (best == "" || len(found) < len(params)) {
			best, params = template, found
		}
	}
	require.NotEmpty(t, best, request.URL)
	item := document.Paths.Value(best)
	operation := item.GetOperation(request.Method)
	require.NotNil(t, operation, request.Method+" "+best)
	return &routers.Route{
		Spec: document, Path: best, PathItem: item, Method: request.Method, Operation: operation,
	}, params
}

func matchPath(template, path string) (params map[string]string, ok bool) {
	params = make(map[string]string)
	for segment := range strings.SplitSeq(template, "/") {
		if segment == "{path}" { // all that is left
			params["path"] = path
			return params, true
		}
		var part string
		part, path, _ = strings.Cut(path, "/")
		name, parameter := strings.CutPrefix(segment, "{")
		switch {
		case parameter:
			params[strings.TrimSuffix(name, "}")] = part
		case part != segment:
			return nil, false
		}
	}
	return params, path == ""
}
