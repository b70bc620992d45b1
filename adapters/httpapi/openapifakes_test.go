package httpapi

import (
	"context"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// wellApp is an application where every request is COMPLETED, with everything that a record can have.
func wellApp() *fakes {
	record := domain.Record{
		ID: testID, Endpoint: "orders", Status: domain.Completed, ResentFrom: "older", Attempts: 2,
		SubmittedAt: testNow, UpdatedAt: testNow,
		Result: &domain.Result{
			CompletedAt: testNow, Error: "a failure before",
			Response: &domain.Response{
				StatusCode: 404, Header: domain.Header{"X-One": {"1"}, "X-Two": {"1", "2"}}, Body: []byte("\xff"),
			},
		},
	}
	f := ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) { return record, nil })
	f.cancel = func(context.Context, domain.ID) (domain.Record, error) {
		return domain.Record{ID: testID, Endpoint: "orders", Status: domain.Cancelled}, nil
	}
	return f
}

func failingApp(err error) *fakes {
	f := reading(func(context.Context, domain.ID, time.Duration) (domain.Record, error) { return domain.Record{}, err })
	f.submit = func(context.Context, ports.Submission) (ports.Receipt, error) { return ports.Receipt{}, err }
	f.cancel = func(context.Context, domain.ID) (domain.Record, error) { return domain.Record{}, err }
	return f
}

// wellLetters has dead letters with everything that they can have.
func wellLetters() *deadLetterFakes {
	letter := testDeadLetter()
	letter.ResentFrom = "older"
	letter.Request = &domain.Request{
		Method: "PUT", Path: "/a", Query: "b=c", Header: domain.Header{"X-One": {"1"}}, Body: []byte("\xff"),
		Priority: 3, MaxAttempts: 2, Labels: map[string]string{"team": "shop"}, Owner: "shop", Deadline: testNow,
	}
	listed := letter
	listed.Request = nil
	next := ports.DeadLetterPlace{FailedAt: testNow, ID: testID}
	resent := ports.Resent{From: testID, ID: newTestID, SubmittedAt: testNow}
	return &deadLetterFakes{
		list: func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
			return ports.DeadLetterPage{Letters: []domain.DeadLetter{listed}, Next: next}, nil
		},
		find:   func(domain.ID) (domain.DeadLetter, error) { return letter, nil },
		remove: func(domain.ID) error { return nil },
		resend: func(domain.ID) (ports.Resent, error) { return resent, nil },
		resendMany: func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error) {
			return ports.ResentPage{
				Resent:  []ports.Resent{resent},
				Skipped: []ports.Unresendable{{ID: "a", Err: ports.ErrUnreadable}, {ID: "b", Err: ports.ErrUnknownEndpoint}},
				Next:    next,
			}, nil
		},
	}
}

func failingLetters(err error) *deadLetterFakes {
	return &deadLetterFakes{
		list: func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
			return ports.DeadLetterPage{}, err
		},
		find:   func(domain.ID) (domain.DeadLetter, error) { return domain.DeadLetter{}, err },
		remove: func(domain.ID) error { return err },
		resend: func(domain.ID) (ports.Resent, error) { return ports.Resent{}, err },
		resendMany: func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error) {
			return ports.ResentPage{}, err
		},
	}
}
