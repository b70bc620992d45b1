package httpapi

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

var (
	errPrecondition = errors.New("the resource does not match the preconditions of the request")
	errNoSuchRange  = errors.New("the resource has no such range; Content-Range has its size")
)

// resource is content that conditions and ranges apply to (RFC 9110 sections 13 and 14).
type resource struct {
	header   http.Header // of an answer with the content
	modified time.Time   // zero: unknown
	content  []byte
	length   int64 // of the whole content in bytes, or unknownLength
}

// serve answers according to the conditions and ranges of a request. Ranges of other methods than GET, or in other
// units than bytes, are ignored (RFC 9110 section 14.2). Errors: errPrecondition, errNoSuchRange. Then nothing has been
// written, and only Content-Range is set (section 15.5.17).
func (r *resource) serve(to gin.ResponseWriter, request *http.Request) error {
	if request.Method != http.MethodGet || !strings.HasPrefix(request.Header.Get("Range"), "bytes=") {
		request.Header.Del("Range")
	}
	answer := resourceWriter{ResponseWriter: to, resource: r}
	http.ServeContent(&answer, request, "", r.modified, bytes.NewReader(r.content))
	if errors.Is(answer.refused, errNoSuchRange) {
		to.Header().Set("Content-Range", "bytes */"+strconv.Itoa(len(r.content)))
	}
	return answer.refused
}

// resourceWriter is where http.ServeContent writes. It keeps refusals for the caller, which answers them as problems,
// and adds the Content-Length that http.ServeContent omits for content with a Content-Encoding.
type resourceWriter struct {
	gin.ResponseWriter

	resource *resource
	refused  error
}

func (w *resourceWriter) Header() http.Header { return w.resource.header }

func (w *resourceWriter) WriteHeader(status int) {
	switch status {
	case http.StatusPreconditionFailed:
		w.refused = errPrecondition
		return
	case http.StatusRequestedRangeNotSatisfiable:
		w.refused = errNoSuchRange
		return
	case http.StatusOK:
		setContentLength(w.resource.header, w.resource.length)
	}
	header := w.ResponseWriter.Header()
	clear(header)
	maps.Copy(header, w.resource.header)
	w.ResponseWriter.WriteHeader(status)
}

func (w *resourceWriter) Write(content []byte) (int, error) {
	if w.refused != nil {
		return len(content), nil //nolint:nilerr // it is the text of http.ServeContent, which is dropped
	}
	return w.ResponseWriter.Write(content)
}
