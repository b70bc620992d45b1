package sqs_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// brief is a visibility for tests that wait for its end. Long enough for a busy machine to extend it in time.
const brief = 3 * time.Second

func TestWhatTakesLongIsKept(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.Visibility = brief
	other := open(t, opts)
	opts.HTTPClient = client(t, w)
	q, sent := open(t, opts), messages(domain.LaneLow, 12)
	publish(t, q, sent)
	got := receive(t, q, len(sent))
	until(t, "everything is extended past its first end", func() bool {
		return w.count("ChangeMessageVisibilityBatch") >= 8 // two for twelve messages, each third of it
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := other.Receive(ctx, 1, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for _, r := range got {
		require.NoError(t, r.Lost.Err())
	}
	settle(q, got...)
	settled(t, q)
}

func TestWhatCannotBeExtendedIsLost(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.Visibility = 2 * time.Second
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 1))
	got := receive(t, q, 1)
	w.inject(func(action, _ string) *http.Response {
		if action == "ChangeMessageVisibilityBatch" {
			return refusal(http.StatusServiceUnavailable, "ServiceUnavailable")
		}
		return nil
	})
	<-got[0].Lost.Done()
	require.ErrorIs(t, context.Cause(got[0].Lost), ports.ErrLost)
	again := receive(t, q, 1)
	require.Equal(t, got[0].Place, again[0].Place, "the place is the same at each hand-out")
	settle(q, got...)
	before := w.count("DeleteMessageBatch")
	require.Zero(t, before, "what is lost is not settled")
	settle(q, again...)
	settled(t, q)
}

// TestSQSKeepsNobodyForEver has a lifetime that is short in place of the 12 h of SQS.
func TestSQSKeepsNobodyForEver(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedSQS(t).URL)
	opts.Visibility = 2 * time.Second
	sqs.SetLifetime(&opts, 6*time.Second)
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 1))
	got := receive(t, q, 1)
	select {
	case <-got[0].Lost.Done():
		require.Fail(t, "it is to be reported before")
	case <-got[0].Crowded:
	}
	<-got[0].Lost.Done()
	again := receive(t, q, 1)
	settle(q, again...)
	settled(t, q)
}

func TestWhatNobodyAsksForIsHandedBack(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedSQS(t).URL)
	opts.Visibility = brief
	sqs.SetLongPoll(&opts, time.Second) // ElasticMQ does not wake a poll for what is handed back
	busy, idle := open(t, opts), open(t, opts)
	sent := messages(domain.LaneLow, 30)
	publish(t, busy, sent)
	got := receive(t, busy, 1) // more are read ahead
	rest := receive(t, idle, len(sent)-1)
	require.ElementsMatch(t, sentValues(sent), append(values(got), values(rest)...))
	require.NoError(t, got[0].Lost.Err())
}

// SQS goes on with a poll that is cut off, and nobody hears what it hands out to that.
func TestWhatAPollBringsWhileLeavingIsHandedBack(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.Visibility = 10 * time.Minute // nobody waits for its end
	sqs.SetLongPoll(&opts, 3*time.Second)
	heir := open(t, opts)
	opts.HTTPClient = client(t, w)
	leaving, closed := open(t, opts), make(chan error, 1)
	go func() {
		_, err := leaving.Receive(context.WithoutCancel(t.Context()), 1, 1)
		closed <- err
	}()
	until(t, "it waits for messages of both lanes", func() bool {
		return w.count("ReceiveMessage") >= 4 && w.polling() == 2
	})
	left := make(chan struct{})
	go func() {
		defer close(left)
		leaving.Leave()
	}()
	require.ErrorIs(t, <-closed, ports.ErrClosed)
	sent := messages(domain.LaneLow, 1)
	publish(t, heir, sent)
	require.Equal(t, sentValues(sent), values(receive(t, heir, 1)))
	<-left
}

func TestPartsOfABatchAreSentAgainAlone(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	// One of them SQS fails for a while, and one it will never take.
	failing := 3
	w.inject(func(action, body string) *http.Response {
		if action != "SendMessageBatch" || !strings.Contains(body, "flaky") {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if failing--; failing < 0 {
			return nil
		}
		return failures(body, map[string]bool{"flaky": false, "refused": true})
	})
	sent := messages(domain.LaneLow, 2)
	sent[0].Value, sent[1].Value = []byte("flaky"), []byte("refused")
	errs := q.Publish(t.Context(), sent)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], ports.ErrUnavailable)
	require.ErrorContains(t, errs[1], "InvalidMessageContents")
	require.Equal(t, []string{"flaky"}, values(receive(t, q, 1)))
}

func TestABatchThatIsRefusedIsSentMessageByMessage(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	w.inject(func(action, body string) *http.Response {
		switch {
		case action == "SendMessageBatch" && strings.Contains(body, "grown"):
			return refusal(http.StatusBadRequest, "InvalidParameterValue")
		case action == "GetQueueAttributes":
			return answered(`{"Attributes":{"MaximumMessageSize":"100"}}`)
		}
		return nil
	})
	sent := messages(domain.LaneLow, 30)
	sent[7].Value = []byte(strings.Repeat("grown ", 100))
	for i, err := range q.Publish(t.Context(), sent) {
		if i == 7 {
			require.ErrorIs(t, err, ports.ErrTooLarge)
			continue
		}
		require.NoError(t, err)
	}
	receive(t, q, len(sent)-1)
}

// TestABatchThatNoMessageIsToBlameForIsAnsweredAtOnce has refusals that each message would get.
func TestABatchThatNoMessageIsToBlameForIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"AccessDenied", "InvalidClientTokenId", "KmsDisabled", "UnsupportedOperation"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
			opts.HTTPClient = client(t, w)
			q := open(t, opts)
			refuse(w, "SendMessageBatch", opts.Queue, code)
			sent := messages(domain.LaneLow, 30)
			for _, err := range q.Publish(t.Context(), sent) {
				require.ErrorIs(t, err, ports.ErrUnavailable)
				require.ErrorContains(t, err, code)
			}
			require.Less(t, w.count("SendMessageBatch"), len(sent))
		})
	}
}

func TestASilentNetworkIsUnavailableWithinTheCallersDeadline(t *testing.T) {
	t.Parallel()
	server := testkit.SharedSQS(t)
	proxy := testkit.StartFaultProxy(t, strings.TrimPrefix(server.URL, "http://"))
	opts := options(t, "http://"+proxy.Address)
	opts.Visibility = brief
	q := open(t, opts)
	proxy.SetSilent(true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Publish(ctx, messages(domain.LaneLow, 1))[0], ports.ErrUnavailable)
	require.ErrorIs(t, q.Probe(ctx), ports.ErrUnavailable)
	proxy.SetSilent(false)
	until(t, "it works again", func() bool { return q.Probe(t.Context()) == nil })
	publish(t, q, messages(domain.LaneLow, 10))
}

func TestResetsAndCutsLoseNothing(t *testing.T) {
	t.Parallel()
	server := testkit.SharedSQS(t)
	proxy := testkit.StartFaultProxy(t, strings.TrimPrefix(server.URL, "http://"))
	opts := options(t, "http://"+proxy.Address)
	opts.Visibility = brief
	sqs.SetLongPoll(&opts, time.Second)
	proxy.SetLatency(2 * time.Millisecond)
	q, seen := open(t, opts), newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { seen.work(ctx, q) })
	confirmed := make(map[string]bool)
	for round := range 20 {
		sent := messages(domain.LaneLow, 50)
		if round%2 == 0 {
			proxy.CutAfter(500 + 100*round)
		} else {
			proxy.Reset()
		}
		publish(t, q, sent)
		for _, value := range sentValues(sent) {
			confirmed[value] = true
		}
	}
	require.True(t, proxy.Cut())
	until(t, "everything has come", func() bool { return seen.has(confirmed) })
	settled(t, q)
}

// ledger is what workers have seen.
type ledger struct {
	mu   sync.Mutex
	seen map[string]int
}

func newLedger() *ledger { return &ledger{seen: make(map[string]int)} }

func (l *ledger) has(values map[string]bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for value := range values {
		if l.seen[value] == 0 {
			return false
		}
	}
	return true
}

// work receives and settles until ctx ends or the queue is closed.
func (l *ledger) work(ctx context.Context, q *sqs.Queue) {
	for {
		some, err := q.Receive(ctx, 64, 1<<20)
		if err != nil {
			return
		}
		l.mu.Lock()
		for _, r := range some {
			l.seen[string(r.Value)]++
		}
		l.mu.Unlock()
		settle(q, some...)
	}
}

func TestAQueueThatIsGoneIsMadeAgain(t *testing.T) {
	t.Parallel()
	server := testkit.SharedSQS(t)
	opts, logged := options(t, server.URL), &testkit.LogBuffer{}
	opts.Logger = logged.Logger()
	sqs.SetLongPoll(&opts, time.Second)
	q := open(t, opts)
	remove(t, server.URL, opts.Queue)
	publish(t, q, messages(domain.LaneLow, 1))
	receive(t, q, 1)
	require.Contains(t, logged.String(), "created it again")

	remove(t, server.URL, opts.Queue+"-high")
	until(t, "a probe makes it again", func() bool { return q.Probe(t.Context()) == nil })
	require.Equal(t, 2, strings.Count(logged.String(), "created it again"), logged.String())
	require.NotContains(t, logged.String(), opts.Credentials.Secret)
	opts.CreateQueues = false
	careful := open(t, opts)
	remove(t, server.URL, opts.Queue)
	require.ErrorContains(t, careful.Probe(t.Context()), "sqs.create_queues is off")
}
