package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
	"github.com/openhqm/openhqm/ports"
)

// Dead letters in one call, and dead letters resent per second.
const (
	defaultPage       = 100
	maxPage           = 1000
	defaultResendRate = 100
	maxResendRate     = 10000
)

// placeSeparator separates the time and the id of a place. Neither contains it, and a query needs no escape for it.
const placeSeparator = ","

const placeForm = `must be an RFC 3339 time (in a URL write its "+" as %2B), or a next_before from a response`

// parseFilterQuery reads ?endpoint=&reason=&before=&limit=. Errors are *domain.Invalid.
func parseFilterQuery(rawQuery string) (ports.DeadLetterFilter, error) {
	filter := ports.DeadLetterFilter{Limit: defaultPage}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return filter, &domain.Invalid{Field: "query", Reason: "is malformed"}
	}
	for name, values := range query {
		if len(values) > 1 {
			return filter, &domain.Invalid{Field: member(bodyField, name), Reason: reasonTwice}
		}
		var known bool
		if name == "limit" {
			filter.Limit, err = parsePage(values[0])
		} else if known, err = setFilter(&filter, name, values[0]); !known {
			err = unknownField(member(bodyField, name))
		}
		if err != nil {
			return filter, err
		}
	}
	return filter, nil
}

// parseResendOrder reads {endpoint?, reason?, before?, limit?, rate?}. Errors are *domain.Invalid.
func parseResendOrder(document []byte) (filter ports.DeadLetterFilter, rate int, err error) {
	filter, rate = ports.DeadLetterFilter{Limit: defaultPage}, defaultResendRate
	if err := checkJSON(document); err != nil {
		return filter, rate, err
	}
	err = eachMember(bodyField, document, func(key string, value []byte) (err error) {
		switch key {
		case "limit":
			filter.Limit, err = parsePage(string(value))
		case "rate":
			rate, err = parseInteger(key, value, 1, maxResendRate)
		case "endpoint", "reason", "before":
			var text string
			if text, err = decodeString(key, value); err == nil {
				_, err = setFilter(&filter, key, text)
			}
		default:
			err = unknownField(member(bodyField, key))
		}
		return err
	})
	return filter, rate, err
}

func parsePage(text string) (int, error) { return parseInteger("limit", []byte(text), 1, maxPage) }

// setFilter sets one of the text fields, and reports whether the field exists. An empty text matches all.
func setFilter(filter *ports.DeadLetterFilter, name, text string) (known bool, err error) {
	switch name {
	case "endpoint":
		filter.Endpoint = text
		if len(text) > envelope.MaxEndpoint {
			err = &domain.Invalid{Field: name, Reason: fmt.Sprintf("may have %d bytes at most", envelope.MaxEndpoint)}
		}
	case "reason":
		filter.Reason = domain.Reason(text)
		if text != "" && !slices.Contains(domain.Reasons(), filter.Reason) {
			err = &domain.Invalid{Field: name, Reason: fmt.Sprintf("must be one of %v", domain.Reasons())}
		}
	case "before":
		filter.Before, err = parsePlace(name, text)
	default:
		return false, nil
	}
	return true, err
}

// parsePlace reads a time, or a text of placeText.
func parsePlace(field, text string) (ports.DeadLetterPlace, error) {
	if text == "" {
		return ports.DeadLetterPlace{}, nil
	}
	at, id, whole := strings.Cut(text, placeSeparator)
	failedAt, err := time.Parse(time.RFC3339, at)
	if err != nil || whole && !domain.ID(id).Valid() {
		return ports.DeadLetterPlace{}, &domain.Invalid{Field: field, Reason: placeForm}
	}
	return ports.DeadLetterPlace{FailedAt: failedAt, ID: domain.ID(id)}, nil
}

// placeText returns a place as text that clients can send back. A time alone would lose dead letters between two pages,
// because many can fail in one millisecond.
func placeText(place ports.DeadLetterPlace) string {
	return place.FailedAt.UTC().Format(rawjson.TimeLayout) + placeSeparator + string(place.ID)
}
