package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// dlqSession carries an order out.
type dlqSession struct {
	order  dlqOrder
	client *dlqClient
	stdout io.Writer
	stderr io.Writer
}

func (s *dlqSession) run() error {
	switch {
	case s.order.command == "list":
		return s.list()
	case s.order.command == "show":
		return s.show()
	case s.order.command == "resend" && s.order.id != "":
		return s.resend()
	case s.order.command == "resend":
		return s.resendMany()
	case s.order.id != "":
		return s.purge(s.order.id)
	default:
		return s.purgeMany()
	}
}

// pages calls visit with the filter of each page, until the limit is reached or there is no next one. visit gives how
// many dead letters of the page count, and where the next page begins.
func (s *dlqSession) pages(visit func(filter dlqFilter) (n int, next string, err error)) (next string, err error) {
	filter := s.order.filter
	for left := s.order.limit(); left > 0; {
		filter.limit = min(left, dlqMaxPage)
		n, next, err := visit(filter)
		if err != nil || next == "" {
			return "", err
		}
		left -= n
		filter.before = next
	}
	return filter.before, nil
}

func (s *dlqSession) list() error {
	first := true
	next, err := s.pages(func(filter dlqFilter) (int, string, error) {
		page, answer, err := s.client.list(filter)
		if err != nil {
			return 0, "", err
		}
		if s.order.json {
			return len(page.DeadLetters), page.NextBefore, s.line(answer)
		}
		header := first
		first = false
		return len(page.DeadLetters), page.NextBefore, s.table(page.DeadLetters, header)
	})
	if next != "" && !s.order.json {
		s.notef("there are more: --before %s", plain(next))
	}
	return err
}

func (s *dlqSession) table(letters []deadLetterDocument, header bool) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	if header {
		_, _ = fmt.Fprintln(w, "FAILED AT\tCORRELATION ID\tENDPOINT\tSTATUS\tREASON\tATTEMPTS\tCODE\tERROR")
	}
	for i := range letters {
		l := &letters[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", plain(l.Failed), plain(l.ID), plain(l.Endpoint),
			plain(l.Status), plain(l.Reason), l.Attempts, statusCode(l.StatusCode), plain(l.Error))
	}
	return w.Flush() // has the error of every write before it
}

func statusCode(code int) string {
	if code == 0 {
		return "-"
	}
	return strconv.Itoa(code)
}

func (s *dlqSession) show() error {
	letter, answer, err := s.client.show(s.order.id)
	if err != nil {
		return err
	}
	if s.order.json {
		return s.line(answer)
	}
	var text strings.Builder
	writeLetter(&text, &letter)
	_, err = io.WriteString(s.stdout, text.String())
	return err
}

// writeLetter writes what is known of a dead letter, then its original in the order of an HTTP request.
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
	r := l.Request
	if r == nil {
		text.WriteString("\nthe original cannot be read\n")
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

func (s *dlqSession) resend() error {
	resent, answer, err := s.client.resend(s.order.id)
	if err != nil {
		return err
	}
	if s.order.json {
		return s.line(answer)
	}
	return s.resent(resent)
}

func (s *dlqSession) resent(resent resentDocument) error {
	_, err := fmt.Fprintf(s.stdout, "%s resent as %s\n", plain(resent.ResentFrom), plain(resent.ID))
	return err
}

// resendMany goes on behind what it has seen, so that what fails again meanwhile is not sent a second time.
func (s *dlqSession) resendMany() error {
	done, skipped := 0, 0
	next, err := s.pages(func(filter dlqFilter) (int, string, error) {
		page, answer, err := s.client.resendMany(filter, s.order.rate)
		if err != nil {
			return 0, "", err
		}
		done, skipped = done+len(page.Resent), skipped+len(page.Skipped)
		return len(page.Resent) + len(page.Skipped), page.NextBefore, s.resentPage(&page, answer)
	})
	s.notef("%d resent, %d skipped", done, skipped)
	if next != "" {
		s.notef("there are more: --before %s", plain(next))
	}
	if err == nil && skipped > 0 {
		err = errors.New("dlq: some could not be sent again")
	}
	return err
}

func (s *dlqSession) resentPage(page *resentPageDocument, answer []byte) error {
	if s.order.json {
		return s.line(answer)
	}
	for _, resent := range page.Resent {
		if err := s.resent(resent); err != nil {
			return err
		}
	}
	for _, skipped := range page.Skipped {
		s.notef("%s skipped: %s: %s", plain(skipped.ID), plain(skipped.Code), plain(skipped.Detail))
	}
	return nil
}

func (s *dlqSession) purge(id string) error {
	if err := s.client.purge(id); err != nil {
		return err
	}
	if s.order.json { // what was there has an id that needs no escape
		return s.line(fmt.Appendf(nil, `{"purged":"%s"}`, id))
	}
	_, err := fmt.Fprintf(s.stdout, "%s purged\n", plain(id))
	return err
}

func (s *dlqSession) purgeMany() error {
	next, err := s.pages(func(filter dlqFilter) (int, string, error) {
		page, _, err := s.client.list(filter)
		if err != nil {
			return 0, "", err
		}
		for i := range page.DeadLetters {
			if err := s.purge(page.DeadLetters[i].ID); err != nil && !errors.Is(err, errGone) {
				return 0, "", err
			}
		}
		return len(page.DeadLetters), page.NextBefore, nil
	})
	if next != "" {
		s.notef("there are more: --before %s", plain(next))
	}
	return err
}

// line prints a document on a line of its own.
func (s *dlqSession) line(document []byte) error {
	_, err := s.stdout.Write(append(document, '\n'))
	return err
}

// notef tells people something that is no part of the output.
func (s *dlqSession) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(s.stderr, format+"\n", args...)
}

// plain replaces what a terminal would take for a command: requests and errors hold what anybody may have sent.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\t' {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
