package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"

	"github.com/gin-gonic/gin"
)

// openAPIPath needs no key: the document is the same for all, and useful before one has a key.
const openAPIPath = "/openapi.yaml"

// openAPIType is the media type of YAML (RFC 9512).
const openAPIType = "application/yaml"

// openAPIDocument describes all of this interface (OpenAPI 3.1).
//
//go:embed openapi.yaml
var openAPIDocument []byte

// openAPITag is an ETag that depends only on the document.
var openAPITag = func() string {
	hash := sha256.Sum256(openAPIDocument)
	return `"` + hex.EncodeToString(hash[:16]) + `"`
}()

// openAPI returns the document: GET /openapi.yaml. Clients may cache it and revalidate.
func (a *api) openAPI(c *gin.Context) error {
	header := c.Writer.Header().Clone()
	header.Set("Content-Type", openAPIType)
	header.Set("ETag", openAPITag)
	header.Set("Cache-Control", "no-cache")
	document := resource{header: header, content: openAPIDocument, length: int64(len(openAPIDocument))}
	return document.serve(c.Writer, c.Request)
}
