package httpapi

import (
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// bodyField names the submit body as a whole in errors; its members are named without it.
const bodyField = "body"

// parseSubmission reads the document of a submit. The payload becomes the body byte for byte, as a part of document.
// Errors are *domain.Invalid. What needs more than the document (is there such an endpoint, does the method want a
// body, is the delay within the deadline) is left to ports.Submitter.
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
