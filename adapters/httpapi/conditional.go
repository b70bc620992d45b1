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
	errPrecondition = errors.New("it is another one than the conditions of the request ask for")
	errNoSuchRange  = errors.New("it has no such range; Content-Range says how much there is")
)

// resource is content that conditions and ranges apply to (RFC 9110 sections 13 and 14).
type resource struct {
	header   http.Header // of an answer with the content
	modified time.Time   // zero: nobody knows
	content  []byte
	length   int64 // of all the content, in bytes; unknownLength: nobody knows
}

// serve answers as the conditions and ranges of a request ask. What is no range of a GET in bytes is ignored, as RFC
// 9110 section 14.2 has it. Errors: errPrecondition, errNoSuchRange; nothing has been written then, and of the header
// there is Content-Range alone (section 15.5.17).
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

// resourceWriter is where http.ServeContent writes. Its refusals are left to the caller, as those of the gateway look
// otherwise. The length of content with a Content-Encoding, which it leaves out, is known here.
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
		return len(content), nil //nolint:nilerr // they are the words of http.ServeContent for it
	}
	return w.ResponseWriter.Write(content)
}
