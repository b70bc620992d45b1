package httpapi

import (
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// bodyField is the name of the whole body in errors. Its members are named without it.
const bodyField = "body"

// parseSubmission reads the document of a submit. The body is the payload byte for byte, as a slice of document. Errors
// are *domain.Invalid. ports.Submitter checks what needs more than the document: the endpoint, whether the method needs
// a body, and whether the delay is within the deadline.
func parseSubmission(document []byte) (ports.Submission, error) {
	s := ports.Submission{Header: make(domain.Header)}
	if err := checkJSON(document); err != nil {
		return s, err
	}
	err := eachMember(bodyField, document, func(key string, value []byte) error {
		switch key {
		case "payload":
			s.Body = value
			return nil
		case "headers":
			return parseHeaders(key, value, s.Header)
		case "metadata":
			return parseMetadata(key, value, &s)
		default:
			return unknownField(member(bodyField, key))
		}
	})
	if err != nil {
		return s, err
	}
	if s.Body != nil && !s.Header.Has("Content-Type") {
		s.Header.Set("Content-Type", jsonType)
	}
	return s, nil
}

func unknownField(field string) error {
	return &domain.Invalid{Field: field, Reason: "is not a known field"}
}
