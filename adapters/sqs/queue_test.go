package sqs_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// onBoth runs a test on both servers: what one of them does in its own way is no promise of SQS.
func onBoth(t *testing.T, test func(t *testing.T, options func() sqs.Options)) {
	t.Helper()
	t.Run("ElasticMQ", func(t *testing.T) {
		t.Parallel()
		test(t, func() sqs.Options { return options(t, testkit.SharedSQS(t).URL) })
	})
	t.Run("Moto", func(t *testing.T) {
		t.Parallel()
		// Moto does not lock what it has: it hands a message to two polls at once, and counts wrong.
		moto := testkit.StartMoto(t).URL
		test(t, func() sqs.Options {
			opts := options(t, moto)
			opts.HTTPClient = client(t, &oneByOne{})
			sqs.SetLongPoll(&opts, time.Second)
			return opts
		})
	})
}

func TestWhatIsPublishedIsReceivedAndSettledOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options func() sqs.Options) {
		opts := options()
		q := open(t, opts)
		sent := slices.Concat(messages(domain.LaneLow, 100), messages(domain.LaneHigh, 100))
		publish(t, q, sent)

		got := receive(t, q, len(sent))
		require.ElementsMatch(t, sentValues(sent), values(got))
		places := make(map[string]bool)
		for _, r := range got {
			require.WithinDuration(t, time.Now(), r.Arrived, patience)
			require.NoError(t, r.Lost.Err())
			require.Empty(t, r.ID, "SQS has no key")
			places[r.Place] = true
		}
		require.Len(t, places, len(sent), "every message lies in a place of its own")

		lag, err := q.Lag(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, len(sent), lag.Messages)
		require.WithinDuration(t, time.Now(), lag.Oldest, patience)
		settle(q, got...)
		settle(q, got...)
		settled(t, q)
		require.NoError(t, q.Close())

		again := open(t, opts)
		more := messages(domain.LaneLow, 10)
		publish(t, again, more)
		got = receive(t, again, len(more))
		require.ElementsMatch(t, sentValues(more), values(got), "what was settled does not come again")
	})
}

func TestReceiveKeepsToCountAndBytes(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedSQS(t).URL))
	sent := messages(domain.LaneLow, 20)
	for i := range sent {
		sent[i].Value = []byte(strings.Repeat("x", 1000))
	}
	publish(t, q, sent)
	for left := len(sent); left > 0; {
		got, err := q.Receive(t.Context(), 5, 2500)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), 2)
		left -= len(got)
	}
	large := messages(domain.LaneLow, 1)
	large[0].Value = []byte(strings.Repeat("x", 5000))
	publish(t, q, large)
	got, err := q.Receive(t.Context(), 5, 2500)
	require.NoError(t, err)
	require.Equal(t, sentValues(large), values(got), "a first one is given even when it is larger")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ports.ErrInterrupted)
	_, err = q.Receive(ctx, 1, 1)
	require.ErrorIs(t, err, ports.ErrInterrupted)
}

func TestTheHighLaneGoesFirstAndTheLowOneIsNotStarved(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedSQS(t).URL))
	low, high := messages(domain.LaneLow, 150), messages(domain.LaneHigh, 400)
	publish(t, q, slices.Concat(low, high))
	got := slices.Concat(receive(t, q, 1), receive(t, q, 79)) // more than was read ahead for the first
	lows := 0
	for i, r := range got {
		if r.Lane == domain.LaneLow {
			lows++
		}
		require.LessOrEqual(t, lows, i/domain.LowLaneShare+1)
		require.GreaterOrEqual(t, lows, (i+1)/domain.LowLaneShare-1)
	}
	require.Equal(t, 80/domain.LowLaneShare, lows)
}

func TestMoreIsInFlightThanIsReadAhead(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedSQS(t).URL))
	sent := messages(domain.LaneLow, 500)
	publish(t, q, sent)
	got := receive(t, q, len(sent)) // none is settled yet
	slices.Reverse(got)
	for _, r := range got {
		settle(q, r)
	}
	settled(t, q)
}

func TestBodiesComeAsTheyWere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options func() sqs.Options) {
		q := open(t, options())
		tests := []string{
			"", " ", "\n", "plain", `{"a": "<&>\u2028 ü 😀"}`, "tab\tcr\rlf\ncrlf\r\n", "\x00", "bell\a", "\x1f", "\x7f\u0085",
			"\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\xff\xfe", "\xed\xa0\x80", "a\xc3", " \t ",
		}
		sent := make([]ports.QueueMessage, len(tests))
		for i, value := range tests {
			sent[i].Value = []byte(value)
		}
		publish(t, q, sent)
		got := receive(t, q, len(sent))
		require.ElementsMatch(t, tests, values(got))
		settle(q, got...)
		settled(t, q)
	})
}

func TestAnOversizedMessageIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options func() sqs.Options) {
		opts := options()
		opts.MaxMessage = 200_000
		q := open(t, opts)
		sent := messages(domain.LaneLow, 20)
		for i := range sent {
			sent[i].Value = []byte(strings.Repeat(string(rune('a'+i)), opts.MaxMessage))
		}
		sent[7].Value = append(sent[7].Value, 'x')
		for i, err := range q.Publish(t.Context(), sent) {
			if i == 7 {
				require.ErrorIs(t, err, ports.ErrTooLarge)
				continue
			}
			require.NoError(t, err)
		}
		got := receive(t, q, len(sent)-1)
		require.ElementsMatch(t, sentValues(slices.Delete(sent, 7, 8)), values(got))
	})
}

func TestEverythingAnswersAfterClose(t *testing.T) {
	t.Parallel()
	q := open(t, options(t, testkit.SharedSQS(t).URL))
	publish(t, q, messages(domain.LaneLow, 2))
	got := receive(t, q, 1)
	waiting := make(chan error)
	go func() {
		for {
			if _, err := q.Receive(context.Background(), 10, 10); err != nil {
				waiting <- err
				return
			}
		}
	}()
	q.Leave()
	require.ErrorIs(t, <-waiting, ports.ErrClosed)
	require.ErrorIs(t, context.Cause(got[0].Lost), ports.ErrLost)
	publish(t, q, messages(domain.LaneLow, 1)) // who has left may still publish
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	for _, err := range q.Publish(t.Context(), messages(domain.LaneLow, 2)) {
		require.ErrorIs(t, err, ports.ErrClosed)
	}
	_, err := q.Receive(t.Context(), 1, 1)
	require.ErrorIs(t, err, ports.ErrClosed)
	require.ErrorIs(t, q.Probe(t.Context()), ports.ErrClosed)
	settle(q, got...)
}

func TestWhatIsNotSettledIsHandedBackAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, options func() sqs.Options) {
		opts := options()
		opts.Visibility = 12 * time.Hour
		leaver := open(t, opts)
		sent := slices.Concat(messages(domain.LaneLow, 30), messages(domain.LaneHigh, 30))
		publish(t, leaver, sent)
		held := receive(t, leaver, 20) // more are read ahead
		settle(leaver, held[:5]...)
		leaver.Leave()
		heir := open(t, opts)
		got := receive(t, heir, len(sent)-5)
		require.ElementsMatch(t, sentValues(sent), append(values(held[:5]), values(got)...))
	})
}

func TestQueuesBesideTheLanes(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedSQS(t).URL)
	q, other := open(t, opts), uniqueName(t)
	outlet, err := q.Outlet(t.Context(), other)
	require.NoError(t, err)
	inlet, err := q.Inlet(t.Context(), other)
	require.NoError(t, err)
	sent := slices.Concat(messages(domain.LaneLow, 15), messages(domain.LaneHigh, 15))
	publish(t, outlet, sent)
	got := receive(t, inlet, len(sent))
	require.ElementsMatch(t, sentValues(sent), values(got))
	settle(inlet, got...)
	settled(t, q)

	_, err = q.Outlet(t.Context(), "results.fifo")
	require.ErrorContains(t, err, "FIFO")
	require.NoError(t, q.Close())
	_, err = inlet.Receive(t.Context(), 1, 1)
	require.ErrorIs(t, err, ports.ErrClosed)
	require.ErrorIs(t, outlet.Publish(t.Context(), sent)[0], ports.ErrClosed)
	_, err = q.Inlet(t.Context(), other)
	require.ErrorIs(t, err, ports.ErrClosed)
}
