package cli

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

func (s *session) table(letters []deadLetterDocument, header bool) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	if header {
		_, _ = fmt.Fprintln(w, "FAILED AT\tCORRELATION ID\tENDPOINT\tSTATUS\tREASON\tATTEMPTS\tCODE\tERROR")
	}
	for i := range letters {
		l := &letters[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", plain(l.Failed), plain(l.ID), plain(l.Endpoint),
			plain(l.Status), plain(l.Reason), l.Attempts, statusCode(l.StatusCode), plain(l.Error))
	}
	return w.Flush() // returns the first error of the writes above
}

func statusCode(code int) string {
	if code == 0 {
		return "-"
	}
	return strconv.Itoa(code)
}

// writeLetter writes the members of a dead letter, then its original in the form of an HTTP request.
func writeLetter(text *strings.Builder, l *deadLetterDocument) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(text, "%-15s %s\n", name, plain(value))
		}
	}
	field("correlation_id", l.ID)
	field("resent_from", l.ResentFrom)
	field("endpoint", l.Endpoint)
	field("status", l.Status)
	field("reason", l.Reason)
	field("error", l.Error)
	field("attempts", strconv.Itoa(l.Attempts))
	field("status_code", statusCode(l.StatusCode))
	field("submitted_at", l.Submitted)
	field("failed_at", l.Failed)
	if l.Request == nil && l.Message == "" && len(l.Fields) == 0 {
		text.WriteString("\nthe original is not kept or cannot be read\n")
		return
	}
	writeRequest(text, l.Request, field)
	writeMessage(text, l)
}

// writeRequest writes the members of an original, if there is one, and then the HTTP request.
func writeRequest(text *strings.Builder, r *originalDocument, field func(name, value string)) {
	if r == nil {
		return
	}
	field("deadline", r.Deadline)
	field("owner", r.Owner)
	field("priority", strconv.Itoa(r.Priority))
	if r.MaxAttempts > 0 {
		field("max_attempts", strconv.Itoa(r.MaxAttempts))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		field("label", name+"="+r.Labels[name])
	}
	writeOriginal(text, r)
}

// writeMessage writes a message that was not accepted, or the fields of an entry without one.
func writeMessage(text *strings.Builder, l *deadLetterDocument) {
	if l.Message != "" {
		text.WriteString("\n" + exact("message", l.Message, l.MessageEncoding))
	}
	for _, f := range l.Fields {
		text.WriteString("\n" + exact("field", f.Name, f.NameEncoding) + exact("value", f.Value, f.ValueEncoding))
	}
}

// exact writes a text so that every byte of it can be restored: in base64 where a terminal would not show it all.
func exact(name, value, encoding string) string {
	if encoding == "" && strings.ContainsFunc(value, func(r rune) bool { return !printed(r) && r != '\n' }) {
		value, encoding = base64.StdEncoding.EncodeToString([]byte(value)), "base64"
	}
	size := len(value)
	if encoding == "base64" {
		decoded, _ := base64.StdEncoding.DecodeString(value) // of the api
		size = len(decoded)
		name += " in base64"
	}
	return fmt.Sprintf("%s (%d bytes):\n%s\n", name, size, value)
}

func writeOriginal(text *strings.Builder, r *originalDocument) {
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	text.WriteString("\n")
	if line := strings.TrimSpace(r.Method + " " + target); line != "" { // else both are the endpoint's
		text.WriteString(plain(line) + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		values, repeated := r.Headers[name].([]any)
		if !repeated {
			values = []any{r.Headers[name]}
		}
		for _, value := range values {
			fmt.Fprintf(text, "%s: %s\n", plain(name), plain(fmt.Sprint(value)))
		}
	}
	if r.Payload == nil {
		return
	}
	encoding := ""
	if r.PayloadEncoding != "" {
		encoding = " (" + plain(r.PayloadEncoding) + ")"
	}
	fmt.Fprintf(text, "\npayload%s:\n", encoding)
	for line := range strings.SplitSeq(string(r.Payload), "\n") {
		text.WriteString(plain(line) + "\n")
	}
}

// line prints a document on a line of its own.
func (s *session) line(document []byte) error {
	_, err := s.stdout.Write(append(document, '\n'))
	return err
}

// notef prints a line for people that is no part of the output.
func (s *session) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(s.stderr, format+"\n", args...)
}

// plain replaces what a terminal could obey: requests and errors contain whatever clients and backends sent.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if printed(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// printed reports whether a terminal shows a character and does nothing else.
func printed(r rune) bool { return unicode.IsPrint(r) || r == '\t' }
