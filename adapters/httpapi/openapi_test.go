package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// published is the document as clients read it.
var published = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromData(openAPIDocument)
})

// strict is the document, but no object has room for members that it does not name: clients must leave that room, and
// the gateway may not use it without saying so.
var strict = sync.OnceValues(func() (*openapi3.T, error) {
	document, err := published()
	if err != nil {
		return nil, err
	}
	data, err := document.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	closeObjects(tree)
	if data, err = json.Marshal(tree); err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(data)
})

func closeObjects(value any) {
	switch value := value.(type) {
	case map[string]any:
		_, named := value["properties"]
		_, decided := value["additionalProperties"]
		if value["type"] == "object" && named && !decided {
			value["additionalProperties"] = false
		}
		for _, member := range value {
			closeObjects(member)
		}
	case []any:
		for _, element := range value {
			closeObjects(element)
		}
	}
}

func load(t *testing.T, document func() (*openapi3.T, error)) *openapi3.T {
	t.Helper()
	loaded, err := document()
	require.NoError(t, err)
	return loaded
}

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	document := load(t, published)
	require.True(t, document.IsOpenAPI31OrLater())
	require.NoError(t, document.Validate(t.Context(), openapi3.EnableExamplesValidation()))
}

func TestTheDocumentHasTheRoutesThatThereAre(t *testing.T) {
	t.Parallel()
	var documented []string
	for path, item := range load(t, published).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	var served []string
	opts, _, _ := testOptions(&fakes{})
	for _, route := range newAPI(t.Context(), opts).engine().Routes() {
		served = append(served, route.Method+" "+strings.Replace(route.Path, ":id", "{id}", 1))
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"} {
		served = append(served, method+" "+proxyOperation) // it takes all methods; these are the ones that OpenAPI can name
	}
	isHead := func(operation string) bool {
		return strings.HasPrefix(operation, http.MethodHead) && !strings.HasSuffix(operation, proxyOperation)
	}
	for _, operation := range served { // the document says once that HEAD goes with GET
		path, get := strings.CutPrefix(operation, http.MethodGet)
		require.Equal(t, get, get && slices.Contains(served, http.MethodHead+path), operation)
	}
	require.ElementsMatch(t, slices.DeleteFunc(served, isHead), documented)
}

func TestEveryOperationHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for path, item := range load(t, published).Paths.Map() {
		for method, operation := range item.Operations() {
			require.NotEmpty(t, operation.OperationID, method+" "+path)
			require.NotEmpty(t, operation.Summary, method+" "+path)
			require.NotContains(t, seen, operation.OperationID, method+" "+path)
			seen[operation.OperationID] = path
		}
	}
}

func TestTheDocumentHasTheWordsOfTheBusiness(t *testing.T) {
	t.Parallel()
	enum := func(schema string) (words []string) {
		for _, word := range load(t, published).Components.Schemas[schema].Value.Enum {
			words = append(words, fmt.Sprint(word))
		}
		return words
	}
	var statuses, reasons []string
	for _, status := range []domain.Status{
		domain.Pending, domain.Processing, domain.Completed, domain.Failed, domain.TimedOut, domain.Cancelled,
	} {
		statuses = append(statuses, string(status))
	}
	for _, reason := range domain.Reasons() {
		reasons = append(reasons, string(reason))
	}
	codes := map[string]bool{internal.code: true, "VALIDATION_ERROR": true, "PAYLOAD_TOO_LARGE": true}
	for _, known := range problems {
		codes[known.code] = true
	}
	require.Equal(t, statuses, enum("StatusWord"))
	require.Equal(t, reasons, enum("Reason"))
	require.Equal(t, append([]string{""}, reasons...), enum("ReasonFilter"))
	require.ElementsMatch(t, slices.Collect(maps.Keys(codes)), enum("Code"))
}

func TestTheDocumentIsServedToEverybody(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, gate, func(o *Options) { o.Access.Keys = testKeys() })
	for _, listener := range []*rig{r, r.admin()} {
		a := listener.do("GET", openAPIPath, "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, "application/yaml", a.Header.Get("Content-Type"))
		require.Equal(t, string(openAPIDocument), a.body)
		require.Equal(t, "no-cache", a.Header.Get("Cache-Control"))
		tag := a.Header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]{32}"$`, tag)

		again := listener.do("GET", openAPIPath, "", "If-None-Match", `"other", `+tag)
		require.Equal(t, http.StatusNotModified, again.StatusCode)
		require.Empty(t, again.body)
		head := listener.do("HEAD", openAPIPath, "")
		require.Equal(t, int64(len(openAPIDocument)), head.ContentLength)
		part := listener.do("GET", openAPIPath, "", "Range", "bytes=0-6")
		require.Equal(t, http.StatusPartialContent, part.StatusCode)
		require.Equal(t, "openapi", part.body)
		require.Equal(t, http.StatusOK, listener.do("GET", openAPIPath, "", "Range", "lines=1-2").StatusCode)
	}
}

// proxyOperation is the path of what does not go through gin's routes.
const proxyOperation = proxyPath + "{endpoint}/{path}"

// What the schema of a submission says of a document, the gateway says too.
func TestASubmissionIsWhatItsSchemaSays(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return strings.Repeat("x", n) }
	labels := func(n int) string {
		labels := make(map[string]string)
		for i := range n {
			labels[fmt.Sprint(i)] = ""
		}
		document, _ := json.Marshal(labels)
		return string(document)
	}
	for _, tt := range []struct {
		give string // %s stands for the limit, in characters
		at   int    // the limit; 0: there is none in give
		want bool   // up to the limit
	}{
		{give: `{}`, want: true},
		{give: `[]`},
		{give: `null`},
		{give: `{"payload":null,"headers":{},"metadata":{}}`, want: true},
		{give: `{"payloads":1}`},
		{give: `{"metadata":{"Endpoint":"x"}}`},
		{give: `{"metadata":null}`},
		{give: `{"headers":[]}`},
		{give: `{"headers":{"A":"1","B":["1","2"],"C":""}}`, want: true},
		{give: `{"headers":{"A":[]}}`},
		{give: `{"headers":{"A":1}}`},
		{give: `{"headers":{"A":[null]}}`},
		{give: `{"headers":{"":"1"}}`},
		{give: `{"headers":{"A b":"1"}}`},
		{give: `{"headers":{"A":"tab\tand é"}}`, want: true},
		{give: `{"headers":{"A":"1\n2"}}`},
		{give: `{"headers":{"A":["\u007f"]}}`},
		{give: `{"metadata":{"endpoint":"%s"}}`, at: envelope.MaxEndpoint, want: true},
		{give: `{"metadata":{"endpoint":1}}`},
		{give: `{"metadata":{"method":"%s"}}`, at: envelope.MaxMethod, want: true},
		{give: `{"metadata":{"method":"M-SEARCH"}}`, want: true},
		{give: `{"metadata":{"method":""}}`},
		{give: `{"metadata":{"method":"A B"}}`},
		{give: `{"metadata":{"path":"/%s"}}`, at: envelope.MaxTarget - 1, want: true},
		{give: `{"metadata":{"query":"%s"}}`, at: envelope.MaxTarget, want: true},
		{give: `{"metadata":{"query":"?a"}}`},
		{give: `{"metadata":{"timeout":0}}`},
		{give: `{"metadata":{"timeout":0.5}}`, want: true},
		{give: `{"metadata":{"timeout":-1}}`},
		{give: `{"metadata":{"timeout":9223372035}}`, want: true},
		{give: `{"metadata":{"timeout":9223372036}}`},
		{give: `{"metadata":{"timeout":true}}`},
		{give: `{"metadata":{"timeout":"90"}}`},
		{give: `{"metadata":{"timeout":"1h30m"}}`, want: true},
		{give: `{"metadata":{"delay":0}}`, want: true},
		{give: `{"metadata":{"delay":"0"}}`, want: true},
		{give: `{"metadata":{"delay":"1.5s"}}`, want: true},
		{give: `{"metadata":{"delay":"1 s"}}`},
		{give: `{"metadata":{"delay":"1d"}}`},
		{give: `{"metadata":{"delay":""}}`},
		{give: `{"metadata":{"not_before":"2026-01-02T03:04:05+02:00"}}`, want: true},
		{give: `{"metadata":{"not_before":"2026-01-02"}}`},
		{give: `{"metadata":{"not_before":1}}`},
		{give: `{"metadata":{"priority":9}}`, want: true},
		{give: `{"metadata":{"priority":"high"}}`, want: true},
		{give: `{"metadata":{"priority":"urgent"}}`},
		{give: `{"metadata":{"priority":10}}`},
		{give: `{"metadata":{"priority":-1}}`},
		{give: `{"metadata":{"priority":"1"}}`},
		{give: `{"metadata":{"priority":0.5}}`},
		{give: `{"metadata":{"max_attempts":1000}}`, want: true},
		{give: `{"metadata":{"max_attempts":1001}}`},
		{give: `{"metadata":{"max_attempts":0}}`},
		{give: `{"metadata":{"labels":{"%s":""}}}`, at: envelope.MaxLabelKey, want: true},
		{give: `{"metadata":{"labels":{"a":"%s"}}}`, at: envelope.MaxLabelValue, want: true},
		{give: `{"metadata":{"labels":{"a":1}}}`},
		{give: `{"metadata":{"labels":` + labels(envelope.MaxLabels) + `}}`, want: true},
		{give: `{"metadata":{"labels":` + labels(envelope.MaxLabels+1) + `}}`},
	} {
		requireAgreement(t, strings.Replace(tt.give, "%s", text(tt.at), 1), tt.want)
		if tt.at > 0 {
			requireAgreement(t, strings.Replace(tt.give, "%s", text(tt.at+1), 1), false)
		}
	}
}

// requireAgreement checks that schema and parser accept a document, or refuse it, both.
func requireAgreement(t *testing.T, document string, want bool) {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal([]byte(document), &value), document)
	schema := load(t, published).Components.Schemas["Submission"].Value
	err := schema.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.EnableFormatValidation())
	require.Equal(t, want, err == nil, "the schema: %.200s: %v", document, err)
	_, err = parseSubmission([]byte(document))
	require.Equal(t, want, err == nil, "the gateway: %.200s: %v", document, err)
}
