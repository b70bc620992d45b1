package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"

	"github.com/gin-gonic/gin"
)

// openAPIPath is open to everybody: the document is the same for all, and whoever has no key yet reads it first.
const openAPIPath = "/openapi.yaml"

// openAPIType is that of RFC 9512.
const openAPIType = "application/yaml"

// openAPIDocument describes all of this interface (OpenAPI 3.1).
//
//go:embed openapi.yaml
var openAPIDocument []byte

// openAPITag changes with the document and only with it.
var openAPITag = func() string {
	hash := sha256.Sum256(openAPIDocument)
	return `"` + hex.EncodeToString(hash[:16]) + `"`
}()

// openAPI gives the document: GET /openapi.yaml. Clients may keep it, and ask whether it is still the same.
func (a *api) openAPI(c *gin.Context) error {
	header := c.Writer.Header().Clone()
	header.Set("Content-Type", openAPIType)
	header.Set("ETag", openAPITag)
	header.Set("Cache-Control", "no-cache")
	document := resource{header: header, content: openAPIDocument, length: int64(len(openAPIDocument))}
	return document.serve(c.Writer, c.Request)
}
