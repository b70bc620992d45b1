package httpapi

import (
	"html"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

const (
	productText   = "A durable asynchronous HTTP gateway"
	documentation = "https://github.com/openhqm/openhqm"

	htmlType = "text/html; charset=utf-8"

	// indexPolicy lets a browser load and run nothing, and no page put this one in a frame.
	indexPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// index is what GET / answers: what this is, and where to read on. It says no more than /health does, to anybody.
type index struct {
	document []byte // JSON
	page     []byte // HTML
}

// newIndex prepares both forms. Links begin with base.
func newIndex(opts *Options, base string) index {
	o := newDocument(smallDocument)
	o.Text("service", "openhqm")
	o.Text("description", productText)
	o.Text("version", opts.Version)
	var page strings.Builder
	page.WriteString(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width"><title>OpenHQM</title></head><body><h1>OpenHQM</h1><p>` +
		productText + ", version " + html.EscapeString(opts.Version) + "</p><ul>")
	link := func(name, text, address string) {
		o.Text(name, address)
		page.WriteString(`<li><a href="` + html.EscapeString(address) + `">` + text + "</a></li>")
	}
	if !opts.HealthOnly {
		link("openapi", "API description (OpenAPI)", base+openAPIPath)
	}
	link("health", "Health", base+healthPath)
	link("documentation", "Documentation", documentation)
	page.WriteString("</ul></body></html>\n")
	return index{document: o.Close(), page: []byte(page.String())}
}

// describe answers GET / with a page for browsers, and with JSON for everybody else.
func (a *api) describe(c *gin.Context) error {
	c.Header("Vary", "Accept")
	c.Header("Content-Security-Policy", indexPolicy)
	c.Header("X-Content-Type-Options", "nosniff")
	if prefersHTML(c.Request.Header.Values("Accept")) {
		a.respond(c, http.StatusOK, htmlType, a.index.page)
	} else {
		a.respond(c, http.StatusOK, jsonType, a.index.document)
	}
	return nil
}

// prefersHTML reports whether the Accept fields name HTML, and JSON with no greater weight (RFC 9110 section 12.5.1).
// Ranges such as */* do not count: every browser names HTML, and other clients want JSON.
func prefersHTML(fields []string) bool {
	weights := make(map[string]float64)
	for element := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		media, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		weights[media] = 1
		if q, given := params["q"]; given {
			weights[media], _ = strconv.ParseFloat(q, 64) // 0 when it is no number
		}
	}
	return weights["text/html"] > 0 && weights["text/html"] >= weights[jsonType]
}
