package httpapi

import (
	"fmt"

	"golang.org/x/net/http/httpguts"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

var reasonHeaders = fmt.Sprintf(
	"may have at most %d fields and %d bytes", envelope.MaxHeaderFields, envelope.MaxHeaderBytes,
)

// headerReader reads {name: value | [values]} into header, and counts lines and bytes.
type headerReader struct {
	header      domain.Header
	lines, size int
}

// parseHeaders reads the headers member into header.
func parseHeaders(field string, value []byte, header domain.Header) error {
	reader := headerReader{header: header}
	return eachMember(field, value, func(name string, value []byte) error {
		if err := reader.field(member(field, name), name, value); err != nil {
			return err
		}
		if reader.lines > envelope.MaxHeaderFields || reader.size > envelope.MaxHeaderBytes {
			return &domain.Invalid{Field: field, Reason: reasonHeaders}
		}
		return nil
	})
}

// field reads one member. It refuses a name that appears twice, in any case, because it is unclear which one is meant,
// and an empty list, because that is no field.
func (h *headerReader) field(field, name string, value []byte) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return &domain.Invalid{Field: field, Reason: "is not a field name (RFC 9110 5.1)"}
	}
	if h.header.Has(name) {
		return &domain.Invalid{Field: field, Reason: "appears twice; use a list"}
	}
	if value[0] != '[' {
		return h.line(field, name, value)
	}
	for element := range rawjson.Elements(value) {
		if err := h.line(field, name, element); err != nil {
			return err
		}
	}
	if !h.header.Has(name) {
		return &domain.Invalid{Field: field, Reason: "must not be an empty list"}
	}
	return nil
}

// line adds one value.
func (h *headerReader) line(field, name string, value []byte) error {
	text, err := decodeString(field, value)
	if err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(text) {
		return &domain.Invalid{Field: field, Reason: "contains a character that field values may not (RFC 9110 5.5)"}
	}
	h.lines++
	h.size += len(name) + len(text)
	h.header.Add(name, text)
	return nil
}
