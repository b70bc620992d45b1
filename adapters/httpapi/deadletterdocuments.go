package httpapi

import (
	"encoding/base64"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
	"github.com/openhqm/openhqm/ports"
)

func deadLettersDocument(page *ports.DeadLetterPage) []byte {
	o := newDocument(smallDocument * (len(page.Letters) + 1))
	o.OpenList("dead_letters")
	for i := range page.Letters {
		o.Item()
		addDeadLetter(o, &page.Letters[i])
		o.End()
	}
	o.EndList()
	addNext(o, page.Next)
	return o.Close()
}

// wholeDeadLetterDocument includes the original: the request, unless that cannot be read, and the message or the fields
// of one that was not accepted.
func wholeDeadLetterDocument(letter *domain.DeadLetter) []byte {
	size := smallDocument + base64.StdEncoding.EncodedLen(int(letter.Original.Size()))
	if letter.Request != nil {
		size += 2*smallDocument + base64.StdEncoding.EncodedLen(len(letter.Request.Body))
	}
	o := newDocument(size)
	addDeadLetter(o, letter)
	if letter.Request != nil {
		o.Open("request")
		addOriginal(o, letter.Request)
		o.End()
	}
	switch {
	case len(letter.Original.Fields) > 0:
		envelope.AppendFields(o, letter.Original.Fields)
	case len(letter.Original.Value) > 0:
		envelope.AppendBytes(o, "message", letter.Original.Value)
	}
	return o.Close()
}

func addDeadLetter(o *rawjson.Writer, letter *domain.DeadLetter) {
	o.Text("correlation_id", string(letter.ID))
	o.Text("endpoint", letter.Endpoint)
	o.Text("reason", string(letter.Reason))
	o.Text("error", letter.Error)
	o.Int("attempts", int64(letter.Attempts))
	o.Text("status", string(letter.Status))
	if letter.StatusCode != 0 {
		o.Int("status_code", int64(letter.StatusCode))
	}
	o.Time("submitted_at", letter.SubmittedAt)
	o.Time("failed_at", letter.FailedAt)
	addResentFrom(o, letter.ResentFrom)
}

// addOriginal describes a request with the members of the submit document, as far as it has them.
func addOriginal(o *rawjson.Writer, request *domain.Request) {
	if request.Method != "" {
		o.Text("method", request.Method)
	}
	o.Text("path", request.Path)
	o.Text("query", request.Query)
	addHeader(o, request.Header)
	if request.Body != nil {
		envelope.AppendContent(o, "payload", request.Header, request.Body)
	}
	o.Int("priority", int64(request.Priority))
	if request.MaxAttempts != 0 {
		o.Int("max_attempts", int64(request.MaxAttempts))
	}
	if len(request.Labels) > 0 {
		addTexts(o, "labels", request.Labels)
	}
	if request.Owner != "" {
		o.Text("owner", request.Owner)
	}
	o.Time("deadline", request.Deadline)
}

// resentDocument is the receipt of a resend.
func resentDocument(resent *ports.Resent) []byte {
	o := newDocument(smallDocument)
	o.Text("correlation_id", string(resent.ID))
	o.Text("resent_from", string(resent.From))
	o.Text("status", string(domain.Pending))
	o.Time("submitted_at", resent.SubmittedAt)
	return o.Close()
}

func resentPageDocument(page *ports.ResentPage) []byte {
	o := newDocument(smallDocument + 128*len(page.Resent))
	o.OpenList("resent")
	for _, resent := range page.Resent {
		o.Item()
		o.Text("correlation_id", string(resent.ID))
		o.Text("resent_from", string(resent.From))
		o.End()
	}
	o.EndList()
	o.OpenList("skipped")
	for _, skipped := range page.Skipped {
		p := problemOf(skipped.Err)
		o.Item()
		o.Text("correlation_id", string(skipped.ID))
		o.Text("code", p.code)
		o.Text("detail", p.detail)
		o.End()
	}
	o.EndList()
	o.Bool("more", page.Next != ports.DeadLetterPlace{})
	addNext(o, page.Next)
	return o.Close()
}

// addNext says where the next page begins, if there is one.
func addNext(o *rawjson.Writer, next ports.DeadLetterPlace) {
	if (next != ports.DeadLetterPlace{}) {
		o.Text("next_before", placeText(next))
	}
}

// addResentFrom names the dead letter that a request was resent from, if any.
func addResentFrom(o *rawjson.Writer, id domain.ID) {
	if id != "" {
		o.Text("resent_from", string(id))
	}
}
