package sqs_test

import (
	"net/http"
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

// onMoto returns options for a Moto of the test's own. What one server does in its own way is no promise of SQS, so what
// matters most is tested on two; the suite runs on ElasticMQ, which is much faster.
func onMoto(t *testing.T) func() sqs.Options {
	t.Helper()
	// Moto does not lock what it has: it hands a message to two polls at once, and counts wrong.
	moto, oneAtATime := testkit.StartMoto(t).URL, &oneByOne{base: &http.Transport{}}
	t.Cleanup(oneAtATime.CloseIdleConnections)
	return func() sqs.Options {
		opts := options(t, moto)
		opts.HTTPClient = &http.Client{Transport: oneAtATime}
		sqs.SetLongPoll(&opts, time.Second)
		return opts
	}
}

// onBoth runs a test on both servers.
func onBoth(t *testing.T, test func(t *testing.T, options func() sqs.Options)) {
	t.Helper()
	t.Run("ElasticMQ", func(t *testing.T) {
		t.Parallel()
		test(t, func() sqs.Options { return options(t, testkit.SharedSQS(t).URL) })
	})
	t.Run("Moto", func(t *testing.T) {
		t.Parallel()
		test(t, onMoto(t))
	})
}

func TestMotoHandsOutWhatIsPublishedOnce(t *testing.T) {
	t.Parallel()
	opts := onMoto(t)()
	q := open(t, opts)
	sent := slices.Concat(messages(domain.LaneLow, 30), messages(domain.LaneHigh, 30))
	publish(t, q, sent)
	got := receive(t, q, len(sent))
	require.ElementsMatch(t, sentValues(sent), values(got))
	lag, err := q.Lag(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, len(sent), lag.Messages)
	settle(q, got...)
	settled(t, q)
	require.NoError(t, q.Close())

	again := open(t, opts)
	more := messages(domain.LaneLow, 10)
	publish(t, again, more)
	require.ElementsMatch(t, sentValues(more), values(receive(t, again, len(more))), "what was settled does not come again")
}

func TestMotoHandsOutBodiesUnchanged(t *testing.T) {
	t.Parallel()
	q := open(t, onMoto(t)())
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
}

func TestMotoRefusesAnOversizedMessageAlone(t *testing.T) {
	t.Parallel()
	opts := onMoto(t)()
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
}

func TestMotoHandsOutAtOnceWhatIsHandedBack(t *testing.T) {
	t.Parallel()
	opts := onMoto(t)()
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
}
