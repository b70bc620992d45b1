package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// session does the work of the commands below dlq.
type session struct {
	api    *client
	json   bool
	stdout io.Writer
	stderr io.Writer
}

// pages calls visit with the filter of each page, until the limit is reached or there is no next one. visit returns how
// many dead letters of the page count, and where the next page begins.
func pages(selected selection, visit func(page filter) (n int, next string, err error)) (next string, err error) {
	page := selected.filter
	for left := selected.limit(); left > 0; {
		page.limit = min(left, maxPage)
		n, next, err := visit(page)
		if err != nil || next == "" {
			return "", err
		}
		left -= n
		page.before = next
	}
	return page.before, nil
}

func (s *session) list(selected selection) error {
	first := true
	next, err := pages(selected, func(filter filter) (int, string, error) {
		page, answer, err := s.api.list(filter)
		if err != nil {
			return 0, "", err
		}
		if s.json {
			return len(page.DeadLetters), page.NextBefore, s.line(answer)
		}
		header := first
		first = false
		return len(page.DeadLetters), page.NextBefore, s.table(page.DeadLetters, header)
	})
	if next != "" && !s.json {
		s.notef("there are more, continue with --before %s", plain(next))
	}
	return err
}

func (s *session) show(id string) error {
	letter, answer, err := s.api.show(id)
	if err != nil {
		return err
	}
	if s.json {
		return s.line(answer)
	}
	var text strings.Builder
	writeLetter(&text, &letter)
	_, err = io.WriteString(s.stdout, text.String())
	return err
}

func (s *session) resend(id string) error {
	resent, answer, err := s.api.resend(id)
	if err != nil {
		return err
	}
	if s.json {
		return s.line(answer)
	}
	return s.printResent(resent)
}

func (s *session) printResent(resent resentDocument) error {
	_, err := fmt.Fprintf(s.stdout, "%s resent as %s\n", plain(resent.ResentFrom), plain(resent.ID))
	return err
}

// resendMany continues after what it has seen, so that what fails again meanwhile is not sent a second time.
func (s *session) resendMany(selected selection, rate int) error {
	done, skipped := 0, 0
	next, err := pages(selected, func(filter filter) (int, string, error) {
		page, answer, err := s.api.resendMany(filter, rate)
		if err != nil {
			return 0, "", err
		}
		done, skipped = done+len(page.Resent), skipped+len(page.Skipped)
		return len(page.Resent) + len(page.Skipped), page.NextBefore, s.resentPage(&page, answer)
	})
	s.notef("%d resent, %d skipped", done, skipped)
	if next != "" {
		s.notef("there are more, continue with --before %s", plain(next))
	}
	if err == nil && skipped > 0 {
		err = errors.New("dlq: some could not be resent")
	}
	return err
}

func (s *session) resentPage(page *resentPageDocument, answer []byte) error {
	if s.json {
		return s.line(answer)
	}
	for _, resent := range page.Resent {
		if err := s.printResent(resent); err != nil {
			return err
		}
	}
	for _, skipped := range page.Skipped {
		s.notef("%s skipped: %s: %s", plain(skipped.ID), plain(skipped.Code), plain(skipped.Detail))
	}
	return nil
}

func (s *session) purge(id string) error {
	if err := s.api.purge(id); err != nil {
		return err
	}
	if s.json { // an id that exists needs no escaping
		return s.line(fmt.Appendf(nil, `{"purged":"%s"}`, id))
	}
	_, err := fmt.Fprintf(s.stdout, "%s purged\n", plain(id))
	return err
}

func (s *session) purgeMany(selected selection) error {
	found := 0
	next, err := pages(selected, func(filter filter) (int, string, error) {
		page, _, err := s.api.list(filter)
		if err != nil {
			return 0, "", err
		}
		found += len(page.DeadLetters)
		for i := range page.DeadLetters {
			if err := s.purge(page.DeadLetters[i].ID); err != nil && !errors.Is(err, errGone) {
				return 0, "", err
			}
		}
		return len(page.DeadLetters), page.NextBefore, nil
	})
	if next != "" {
		s.notef("there are more, continue with --before %s", plain(next))
	}
	if err == nil && found == 0 {
		return errors.New("dlq purge: no dead letter matches; nothing was deleted")
	}
	return err
}
