package exchange

import (
	"context"
	"errors"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// kind says how notices of one kind are written.
type kind struct {
	name  string // in the log
	forms []form // to be tried one after the other: each writes smaller messages than the one before
	// giveUp is for a notice of which no form is small enough. With an error it is tried again.
	giveUp func(ctx context.Context, id domain.ID, cause error) error
}

// form writes the message of a notice. An error says that there is nothing to publish.
type form func(n *ports.Notice) ([]byte, error)

var (
	errGone      = errors.New("its lifetime is over, or it was deleted")
	errNotNeeded = errors.New("the request has ended")
)

// results tells a body that is too large for a message by its URL.
func results(opts *NoticesOutOptions) kind {
	within := func(inline int) form {
		return func(n *ports.Notice) ([]byte, error) { return writeResult(n, inline, opts.ResultURL) }
	}
	return kind{name: "results", forms: []form{within(envelope.MaxInlineBody), within(0)}, giveUp: opts.drop}
}

func writeResult(n *ports.Notice, inline int, url func(domain.ID) string) ([]byte, error) {
	switch {
	case n.Err != nil:
		return nil, n.Err
	case n.Record == nil || n.Record.Result == nil:
		return nil, errGone
	}
	result := envelope.Result{ID: n.ID, Status: n.Record.Status, Result: *n.Record.Result}
	if response := result.Result.Response; response != nil && len(response.Body) > inline {
		result.URL = url(n.ID)
		result.Result.Response = &domain.Response{StatusCode: response.StatusCode, Header: response.Header}
	}
	return envelope.AppendResult(nil, &result), nil
}

// deadLetters tells an original that is too large, or that a carrier still has, by the URL of the dead letter.
func deadLetters(opts *NoticesOutOptions) kind {
	return kind{name: "dead letters", giveUp: opts.drop, forms: []form{
		func(n *ports.Notice) ([]byte, error) { return writeDeadLetter(n, original(n), opts.DeadLetterURL) },
		func(n *ports.Notice) ([]byte, error) {
			return writeDeadLetter(n, domain.Original{}, opts.DeadLetterURL)
		},
	}}
}

// original returns the original of a dead letter. It is empty when the store does not have it, and when it is too large
// for a message on every broker: then it stays in the store.
func original(n *ports.Notice) domain.Original {
	switch {
	case n.Letter == nil:
		return domain.Original{}
	case !n.Letter.Original.Empty():
		if n.Letter.Original.Size() > envelope.MaxInlineBody {
			return domain.Original{}
		}
		return n.Letter.Original
	case n.Letter.Request == nil || len(n.Letter.Request.Body) > envelope.MaxInlineBody:
		return domain.Original{}
	default:
		return domain.Original{Value: envelope.Append(nil, &envelope.Message{Request: *n.Letter.Request})}
	}
}

func writeDeadLetter(n *ports.Notice, inline domain.Original, url func(domain.ID) string) ([]byte, error) {
	switch {
	case n.Err != nil:
		return nil, n.Err
	case n.Letter == nil:
		return nil, errGone
	}
	letter := envelope.DeadLetter{
		ID: n.ID, Error: n.Letter.Error, Attempts: n.Letter.Attempts, FailedAt: n.Letter.FailedAt,
		Message: inline.Value, Fields: inline.Fields,
	}
	if inline.Empty() {
		letter.URL = url(n.ID)
	}
	return envelope.AppendDeadLetter(nil, &letter), nil
}

// handovers publishes whole requests: those who work on them cannot fetch the rest.
func handovers(outcomes ports.Outcomes, opts *NoticesOutOptions) kind {
	return kind{name: "requests", forms: []form{writeRequest}, giveUp: refusal(outcomes, opts)}
}

func writeRequest(n *ports.Notice) ([]byte, error) {
	switch {
	case n.Err != nil:
		return nil, n.Err
	case n.Record == nil:
		return nil, errGone
	case n.Record.Status.Final():
		return nil, errNotNeeded
	case n.Request == nil:
		return nil, errGone
	}
	m := envelope.Message{Request: *n.Request, RetryCount: n.Record.Attempts}
	return envelope.Append(nil, &m), nil
}

// drop gives up on a notice, and logs why.
func (opts *NoticesOutOptions) drop(_ context.Context, id domain.ID, cause error) error {
	opts.Logger.Error("notice dropped: it exceeds the broker's limit in every form", "correlation_id", id, "error", cause)
	return nil
}

// refusal ends a request that is too large to be handed over.
func refusal(outcomes ports.Outcomes, opts *NoticesOutOptions) func(context.Context, domain.ID, error) error {
	return func(ctx context.Context, id domain.ID, cause error) error {
		err := outcomes.Conclude(ctx, []ports.Conclusion{{ID: id, Status: domain.Failed, Result: domain.Result{
			Reason: domain.ReasonRejected, Error: "it cannot be handed over: " + cause.Error(), CompletedAt: opts.Now(),
		}}})[0]
		if errors.Is(err, ports.ErrNotFound) {
			return nil // there is nothing to end
		}
		return err
	}
}
