package httpapi

import (
	"encoding/base64"
	"maps"
	"slices"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func deadLettersDocument(page *ports.DeadLetterPage) []byte {
	o := newObject(smallDocument * (len(page.Letters) + 1))
	o.array("dead_letters", len(page.Letters), func(i int) []byte {
		return deadLetterObject(&page.Letters[i], smallDocument).end()
	})
	addNext(o, page.Next)
	return o.end()
}

// wholeDeadLetterDocument has the original too, unless that cannot be read.
func wholeDeadLetterDocument(letter *domain.DeadLetter) []byte {
	if letter.Request == nil {
		return deadLetterObject(letter, smallDocument).end()
	}
	original := originalDocument(letter.Request)
	o := deadLetterObject(letter, smallDocument+len(original))
	o.raw("request", original)
	return o.end()
}

// deadLetterObject begins the document of a dead letter; size is about how many bytes it will have.
func deadLetterObject(letter *domain.DeadLetter, size int) *jsonObject {
	o := newObject(size)
	o.text("correlation_id", string(letter.ID))
	o.text("endpoint", letter.Endpoint)
	o.text("reason", string(letter.Reason))
	o.text("error", letter.Error)
	o.number("attempts", int64(letter.Attempts))
	o.text("status", string(letter.Status))
	if letter.StatusCode != 0 {
		o.number("status_code", int64(letter.StatusCode))
	}
	o.time("submitted_at", letter.SubmittedAt)
	o.time("failed_at", letter.FailedAt)
	addResentFrom(o, letter.ResentFrom)
	return o
}

// originalDocument gives a request in the words of the submit document, where it has them.
func originalDocument(request *domain.Request) []byte {
	o := newObject(2*smallDocument + base64.StdEncoding.EncodedLen(len(request.Body)))
	if request.Method != "" {
		o.text("method", request.Method)
	}
	o.text("path", request.Path)
	o.text("query", request.Query)
	o.raw("headers", headersDocument(request.Header))
	if request.Body != nil {
		addContent(o, "payload", request.Header, request.Body)
	}
	o.number("priority", int64(request.Priority))
	if request.MaxAttempts != 0 {
		o.number("max_attempts", int64(request.MaxAttempts))
	}
	if len(request.Labels) > 0 {
		o.raw("labels", labelsDocument(request.Labels))
	}
	if request.Owner != "" {
		o.text("owner", request.Owner)
	}
	o.time("deadline", request.Deadline)
	return o.end()
}

func labelsDocument(labels map[string]string) []byte {
	o := newObject(smallDocument)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		o.text(name, labels[name])
	}
	return o.end()
}

// resentDocument answers a resend as a receipt answers a submit.
func resentDocument(resent *ports.Resent) []byte {
	o := newObject(smallDocument)
	o.text("correlation_id", string(resent.ID))
	o.text("resent_from", string(resent.From))
	o.text("status", string(domain.Pending))
	o.time("submitted_at", resent.SubmittedAt)
	return o.end()
}

func resentPageDocument(page *ports.ResentPage) []byte {
	o := newObject(smallDocument + 128*len(page.Resent))
	o.array("resent", len(page.Resent), func(i int) []byte {
		pair := newObject(128)
		pair.text("correlation_id", string(page.Resent[i].ID))
		pair.text("resent_from", string(page.Resent[i].From))
		return pair.end()
	})
	o.array("skipped", len(page.Skipped), func(i int) []byte {
		p := problemOf(page.Skipped[i].Err)
		skipped := newObject(smallDocument)
		skipped.text("correlation_id", string(page.Skipped[i].ID))
		skipped.text("code", p.code)
		skipped.text("detail", p.detail)
		return skipped.end()
	})
	o.bool("more", page.Next != ports.DeadLetterPlace{})
	addNext(o, page.Next)
	return o.end()
}

// addNext tells where the next page begins, if there is one.
func addNext(o *jsonObject, next ports.DeadLetterPlace) {
	if (next != ports.DeadLetterPlace{}) {
		o.text("next_before", placeText(next))
	}
}

// addResentFrom names the dead letter that a request was made from, if it was.
func addResentFrom(o *jsonObject, id domain.ID) {
	if id != "" {
		o.text("resent_from", string(id))
	}
}
