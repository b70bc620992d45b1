package envelope

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// Result is how a request ended, on the wire: in queue.responses and queue.results_in.
//
// It carries all of domain.Result except Reason. CompletedAt is the member timestamp. Space around a JSON body is lost.
type Result struct {
	ID     domain.ID
	Status domain.Status // a final one
	Result domain.Result
	URL    string // of the result, where its body is too large for the message; Response.Body is not written then

	Ignored []string // as in Message
}

// Names of the members that only results have.
const (
	keyStatus         = "status"
	keyStatusCode     = "status_code"
	keyResult         = "result"
	keyResultEncoding = keyResult + encodingSuffix
	keyResultURL      = "result_url"
	keyProcessingTime = "processing_time_ms"
)

// encodingText and encodingBase64 are the values of result_encoding. Without one the Content-Type says whether a string
// is JSON or text.
const encodingText = "text"

// Limits of a result, besides those of headers.
const (
	maxURL          = 8 << 10
	maxResultError  = 8 << 10 // longer texts are cut, rather than the result refused
	maxStatusLength = 16
	minStatusCode   = 100 // RFC 9110 section 15; some backends send codes above 599
	maxStatusCode   = 999
	statusCodeOK    = 200 // of a COMPLETED result without a code
	maxProcessing   = float64(maxSpan / time.Millisecond)
)

// AppendResult appends a result to dst and returns the extended slice. It keeps nothing of r. What JSON cannot hold is
// lost as in Append. The caller keeps to the limits of DecodeResult.
func AppendResult(dst []byte, r *Result) []byte {
	response := r.Result.Response
	if response == nil {
		response = &domain.Response{}
	}
	w := rawjson.Append(grow(dst, response.Header, response.Body))
	w.Text(keyID, string(r.ID))
	w.Text(keyStatus, string(r.Status))
	if r.Result.Response != nil {
		w.Int(keyStatusCode, int64(response.StatusCode))
		appendHeader(w, response.Header)
		if r.URL == "" {
			appendResultBody(w, response)
		}
	}
	appendText(w, keyResultURL, r.URL)
	appendText(w, keyError, r.Result.Error)
	w.Int(keyProcessingTime, max(0, r.Result.ProcessingTime.Milliseconds()))
	if !r.Result.CompletedAt.IsZero() {
		w.Time(keyTimestamp, r.Result.CompletedAt)
	}
	return w.Close()
}

// appendResultBody marks text where the Content-Type says JSON: a reader could not tell it from a JSON string
// otherwise.
func appendResultBody(w *rawjson.Writer, response *domain.Response) {
	if mislabelled := AppendContent(w, keyResult, response.Header, response.Body); mislabelled {
		w.Text(keyResultEncoding, encodingText)
	}
}

// resultDocument is a result message while it is read.
type resultDocument struct {
	Result

	headers, body []byte // undecoded; nil: not given
	statusCode    int    // 0: not given
	encoding      string
}

// DecodeResult reads a result of at most limit bytes. Arrived is when the broker received it; it is used where the
// result has no timestamp.
//
// ID is empty when the document has no valid one: such a result belongs to no request. A COMPLETED result without a
// status_code has 200. The response's Body is never nil; it may share memory with data, which must not be changed
// afterwards.
func DecodeResult(data []byte, arrived time.Time, limit int) (Result, error) {
	d, err := decodeResult(data, arrived, limit)
	if err != nil {
		return Result{}, err
	}
	return d.Result, nil
}

// decodeResult reads a result as DecodeResult does. With an error it returns what it has read by then.
func decodeResult(data []byte, arrived time.Time, limit int) (resultDocument, error) {
	var d resultDocument
	object, err := open(data, limit)
	if err != nil {
		return d, err
	}
	if err := readObject("", object, resultMembers, &d, (*names)(&d.Ignored)); err != nil {
		return d, err
	}
	if !d.Status.Final() {
		return d, &domain.Invalid{Field: keyStatus, Reason: "must be COMPLETED, FAILED, TIMEOUT or CANCELLED"}
	}
	if err := d.decodeResponse(); err != nil {
		return d, err
	}
	if d.Result.Result.CompletedAt.IsZero() {
		d.Result.Result.CompletedAt = floor(arrived.UTC())
	}
	return d, nil
}

var resultMembers = []member[resultDocument]{
	{name: keyID, read: (*resultDocument).setID},
	{name: keyStatus, read: func(d *resultDocument, v []byte) string {
		return readText((*string)(&d.Status), v, maxStatusLength)
	}},
	{name: keyStatusCode, read: func(d *resultDocument, v []byte) string {
		return readInteger(&d.statusCode, v, minStatusCode, maxStatusCode)
	}},
	{name: keyHeaders, read: func(d *resultDocument, v []byte) string { d.headers = v; return "" }},
	{name: keyResult, read: func(d *resultDocument, v []byte) string { d.body = v; return "" }, nullable: true},
	{name: keyResultEncoding, read: func(d *resultDocument, v []byte) string {
		return readText(&d.encoding, v, maxShortText)
	}},
	{name: keyResultURL, read: func(d *resultDocument, v []byte) string { return readText(&d.URL, v, maxURL) }},
	{name: keyError, read: func(d *resultDocument, v []byte) string { return readError(&d.Result.Result.Error, v) }},
	{name: keyProcessingTime, read: (*resultDocument).setProcessingTime},
	{name: keyTimestamp, read: func(d *resultDocument, v []byte) string {
		return readTime(&d.Result.Result.CompletedAt, v, floor)
	}},
}

// setID ignores an id that is not valid, and says so.
func (d *resultDocument) setID(value []byte) (reason string) {
	if !readID(&d.ID, value) && string(value) != `""` {
		(*names)(&d.Ignored).add(keyID)
	}
	return ""
}

func (d *resultDocument) setProcessingTime(value []byte) (reason string) {
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil || number < 0 || number > maxProcessing {
		return "must be a number of milliseconds, not negative"
	}
	d.Result.Result.ProcessingTime = time.Duration(math.Round(number)) * time.Millisecond
	return ""
}

// readError reads the text of an error and cuts it to its limit.
func readError(into *string, value []byte) (reason string) {
	raw, ok := rawjson.Text(value)
	if !ok {
		return reasonText
	}
	if len(raw) > maxResultError {
		raw = raw[:maxResultError]
		for !utf8.Valid(raw) { // at most three times: only the last character can be incomplete
			raw = raw[:len(raw)-1]
		}
	}
	*into = string(raw)
	return ""
}

// decodeResponse decodes the response, if the document has one.
func (d *resultDocument) decodeResponse() error {
	given := d.body != nil && !rawjson.IsNull(d.body)
	if given && d.URL != "" {
		return &domain.Invalid{Field: "message", Reason: "has both result and result_url"}
	}
	if d.statusCode == 0 && d.Status == domain.Completed {
		d.statusCode = statusCodeOK
	}
	if d.statusCode == 0 && !given && d.URL == "" {
		return nil
	}
	if d.statusCode == 0 {
		return &domain.Invalid{Field: keyStatusCode, Reason: "is needed with a result, unless it is COMPLETED"}
	}
	f := fields{header: make(domain.Header)}
	if d.headers != nil {
		if reason := f.read(d.headers); reason != "" {
			return &domain.Invalid{Field: keyHeaders, Reason: reason}
		}
	}
	body, reason := d.decodeBody(&f)
	if reason != "" {
		return &domain.Invalid{Field: keyResult, Reason: reason}
	}
	d.Result.Result.Response = &domain.Response{StatusCode: d.statusCode, Header: f.header, Body: body}
	return nil
}

// decodeBody undoes appendResultBody. Other programs may leave things out: a value that is not a string is JSON, a
// string without a Content-Type is text, and null means "no body" unless the Content-Type is JSON.
func (d *resultDocument) decodeBody(f *fields) (body []byte, reason string) {
	if d.body == nil {
		return []byte{}, ""
	}
	isJSON := IsJSON(f.header.Get(fieldContentType))
	text, isText := rawjson.Text(d.body)
	switch {
	case d.encoding == encodingBase64:
		return decodeBase64(d.body)
	case d.encoding != "" && d.encoding != encodingText:
		return nil, "has an encoding that is neither base64 nor text"
	case isText && (!isJSON || d.encoding == encodingText):
		return text, ""
	case d.encoding == encodingText:
		return nil, reasonText
	case !isJSON && rawjson.IsNull(d.body):
		return []byte{}, ""
	case !f.header.Has(fieldContentType):
		return d.body, f.add(fieldContentType, []byte(contentTypeJSON))
	default:
		return d.body, ""
	}
}
