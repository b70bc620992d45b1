package queuesuite

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// exchangeEnv is what a case about publishing and receiving works with.
type exchangeEnv struct {
	env

	harness ExchangeHarness
}

// open opens the pair in a process of its own, which ends with the test.
func (e *exchangeEnv) open() Exchange {
	e.t.Helper()
	x, err := e.harness.Open()
	require.NoError(e.t, err)
	return x
}

// exchangeCase is one sentence about publishing and receiving, without commas: Kafka splits names of directories there.
type exchangeCase struct {
	name      string
	run       func(e *exchangeEnv)
	applies   func(Traits) bool // nil: to every broker
	crashes   bool
	ownBroker bool
}

func exchangeCases() []exchangeCase {
	limited := func(t Traits) bool { return !t.NoSizeLimit }
	return []exchangeCase{
		{name: "what is published is received once and settled for good", run: receivedOnce},
		{name: "values arrive as they were published", run: valuesArriveUnchanged},
		{name: "Receive keeps to count and bytes", run: receiveKeepsToItsBounds},
		{name: "a Receive whose context ends loses nothing", run: endedReceiveLosesNothing},
		{name: "a message that is too large is an error of its own", run: tooLargeFailsAlone, applies: limited},
		{name: "any number is received before any is settled", run: settledInAnyOrder},
		{name: "many publish and receive at once", run: manyAtOnce},
		{name: "settling twice or for another receiver does nothing", run: settlingTwice},
		{name: "what a crashed process had not settled goes to another", run: crashHandsOn, crashes: true},
		{name: "everything answers after Close", run: closedAnswers},
		{name: "nothing confirmed is lost while the broker is away", run: brokerReturns, ownBroker: true},
	}
}

func receivedOnce(e *exchangeEnv) {
	x := e.open()
	require.Empty(e.t, x.Outlet.Publish(e.ctx, nil))
	sent := slices.Concat(messages(domain.LaneLow, 100), messages(domain.LaneHigh, 100))
	e.publish(x.Outlet, sent)
	got := e.receive(x.Inlet, len(sent))
	e.requireSame(sent, got)
	places := make(map[string]bool)
	for _, r := range got {
		require.WithinDuration(e.t, time.Now(), r.Arrived, patience)
		require.False(e.t, lost(r))
		if e.harness.Traits.NoKeys {
			require.Empty(e.t, r.ID)
		} else {
			require.Equal(e.t, "value of "+string(r.ID), string(r.Value))
		}
		places[r.Place] = true
	}
	require.Len(e.t, places, len(sent), "every message lies at a place of its own")
	settle(x.Inlet, got...)
	more := messages(domain.LaneLow, 1)
	e.publish(x.Outlet, more)
	settle(x.Inlet, e.receive(x.Inlet, 1)...) // so that the broker has time for what was settled before
	require.NoError(e.t, x.Close())

	again := e.open()
	more = messages(domain.LaneLow, 10)
	e.publish(again.Outlet, more)
	e.requireSame(more, e.receive(again.Inlet, len(more)))
}

func valuesArriveUnchanged(e *exchangeEnv) {
	x := e.open()
	noise := make([]byte, maxMessage/2)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	give := []string{
		string(noise), "", " ", "\n", "plain", `{"a": "<&>\u2028 ü 😀"}`, "tab\tcr\rlf\ncrlf\r\n", "\x00", "bell\a", "\x1f", "\x7f\u0085",
		"\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\xff\xfe", "\xed\xa0\x80", "a\xc3", " \t ",
	}
	sent := messages(domain.LaneLow, len(give))
	for i := range sent {
		sent[i].Value = []byte(give[i])
	}
	e.publish(x.Outlet, sent)
	e.requireSame(sent, e.receive(x.Inlet, len(sent)))
}

func receiveKeepsToItsBounds(e *exchangeEnv) {
	x := e.open()
	sent := messages(domain.LaneLow, 20)
	for i := range sent {
		sent[i].Value = slices.Repeat([]byte("x"), 1000)
	}
	e.publish(x.Outlet, sent)
	for left := len(sent); left > 0; {
		got, err := x.Inlet.Receive(e.ctx, 5, 2500)
		require.NoError(e.t, err)
		require.LessOrEqual(e.t, len(got), 2)
		left -= len(got)
	}
	for i := range sent {
		sent[i].Value = []byte("x")
	}
	e.publish(x.Outlet, sent)
	for left := len(sent); left > 0; {
		got, err := x.Inlet.Receive(e.ctx, 3, unbounded)
		require.NoError(e.t, err)
		require.LessOrEqual(e.t, len(got), 3)
		left -= len(got)
	}
	large := messages(domain.LaneLow, 1)
	large[0].Value = slices.Repeat([]byte("x"), 5000)
	e.publish(x.Outlet, large)
	got, err := x.Inlet.Receive(e.ctx, 5, 2500)
	require.NoError(e.t, err)
	e.requireSame(large, got)
}

func endedReceiveLosesNothing(e *exchangeEnv) {
	x := e.open()
	ended, cancel := context.WithCancelCause(e.ctx)
	cancel(ports.ErrInterrupted)
	_, err := x.Inlet.Receive(ended, 1, 1)
	require.ErrorIs(e.t, err, ports.ErrInterrupted)

	sent := messages(domain.LaneLow, 50)
	for i := range sent {
		e.publish(x.Outlet, sent[i:i+1])
		brief, cancel := context.WithTimeout(e.ctx, time.Millisecond)
		got, err := x.Inlet.Receive(brief, 1, unbounded)
		cancel()
		if err != nil {
			require.ErrorIs(e.t, err, context.DeadlineExceeded)
			got = e.receive(x.Inlet, 1)
		}
		require.Equal(e.t, sentValues(sent[i:i+1]), values(got))
	}
}

func tooLargeFailsAlone(e *exchangeEnv) {
	x := e.open()
	sent := messages(domain.LaneLow, 20)
	for i := range sent {
		sent[i].Value = slices.Repeat([]byte{byte('a' + i)}, maxMessage) // each fills a batch
	}
	const large = 7
	sent[large].Value = append(sent[large].Value, 'x')
	for i, err := range x.Outlet.Publish(e.ctx, sent) {
		if i == large {
			require.ErrorIs(e.t, err, ports.ErrTooLarge)
			continue
		}
		require.NoError(e.t, err)
	}
	e.requireSame(slices.Delete(sent, large, large+1), e.receive(x.Inlet, len(sent)-1))
}

func settledInAnyOrder(e *exchangeEnv) {
	x := e.open()
	sent := messages(domain.LaneLow, 500)
	e.publish(x.Outlet, sent)
	got := e.receive(x.Inlet, len(sent)) // none is settled yet
	e.requireSame(sent, got)
	slices.Reverse(got)
	for _, r := range got {
		settle(x.Inlet, r)
	}
	more := messages(domain.LaneLow, 100)
	e.publish(x.Outlet, more)
	e.requireSame(more, e.receive(x.Inlet, len(more)))
}

func manyAtOnce(e *exchangeEnv) {
	x := e.open()
	const callers, each = 16, 30
	workers := []*worker{e.work(x.Inlet), e.work(x.Inlet), e.work(x.Inlet)}
	var publishing sync.WaitGroup
	sent := make([][]ports.QueueMessage, callers)
	failures := make([][]error, callers)
	for i := range sent {
		sent[i] = messages(domain.Lane(i%domain.LaneCount), each)
		publishing.Go(func() {
			for j := range sent[i] {
				failures[i] = append(failures[i], x.Outlet.Publish(e.ctx, sent[i][j:j+1])...)
			}
		})
	}
	publishing.Wait()
	for _, errs := range failures {
		for _, err := range errs {
			require.NoError(e.t, err)
		}
	}
	e.until("everything has come", func() bool {
		n := 0
		for _, w := range workers {
			n += w.seen()
		}
		return n == callers*each
	})
	for _, m := range slices.Concat(sent...) {
		times := 0
		for _, w := range workers {
			times += w.saw(string(m.Value))
		}
		require.Equal(e.t, 1, times, "%s", m.Value)
	}
}

func settlingTwice(e *exchangeEnv) {
	x := e.open()
	sent := messages(domain.LaneLow, 4)
	e.publish(x.Outlet, sent)
	got := e.receive(x.Inlet, len(sent))
	settle(x.Inlet, got...)
	settle(x.Inlet, got...)
	x.Inlet.Settle(nil)
	x.Inlet.Settle([]ports.Ticket{nil, "of another receiver"})
	more := messages(domain.LaneLow, 4)
	e.publish(x.Outlet, more)
	e.requireSame(more, e.receive(x.Inlet, len(more)))
}

func crashHandsOn(e *exchangeEnv) {
	doomed := e.open()
	sent := messages(domain.LaneLow, 50)
	e.publish(doomed.Outlet, sent)
	got := e.receive(doomed.Inlet, len(sent))
	settle(doomed.Inlet, got[:20]...)
	doomed.Crash()

	heir := e.open()
	open := make(map[string]string) // place by value
	for _, r := range got[20:] {
		open[string(r.Value)] = r.Place
	}
	for len(open) > 0 { // what was settled just before may come too
		for _, r := range e.receive(heir.Inlet, 1) {
			if place, missing := open[string(r.Value)]; missing {
				require.Equal(e.t, place, r.Place, "the place is the same at every hand-out")
			}
			delete(open, string(r.Value))
			settle(heir.Inlet, r)
		}
	}
	e.requireLost(got[20:])
	settle(doomed.Inlet, got[20:]...) // it does nothing
}

func closedAnswers(e *exchangeEnv) {
	x := e.open()
	e.publish(x.Outlet, messages(domain.LaneLow, 2))
	got := e.receive(x.Inlet, 1)
	waiting := make(chan error, 1)
	go func() {
		for {
			if _, err := x.Inlet.Receive(context.WithoutCancel(e.ctx), 10, 10); err != nil {
				waiting <- err
				return
			}
		}
	}()
	require.NoError(e.t, x.Close())
	require.ErrorIs(e.t, <-waiting, ports.ErrClosed)
	require.NoError(e.t, x.Close())
	for _, err := range x.Outlet.Publish(e.ctx, messages(domain.LaneLow, 2)) {
		require.ErrorIs(e.t, err, ports.ErrClosed)
	}
	_, err := x.Inlet.Receive(e.ctx, 1, 1)
	require.ErrorIs(e.t, err, ports.ErrClosed)
	e.requireLost(got)
	settle(x.Inlet, got...)
}

// confirmed is what was published and confirmed, by value.
type confirmed map[string]bool

// publishSome tries to publish a few messages, and reports whether one was not confirmed.
func (e *env) publishSome(to ports.Publisher, all confirmed) (failed bool) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, 2*time.Second)
	defer cancel()
	some := messages(domain.LaneLow, 20)
	for i, err := range to.Publish(ctx, some) {
		if err != nil {
			require.ErrorIs(e.t, err, ports.ErrUnavailable)
			failed = true
			continue
		}
		all[string(some[i].Value)] = true
	}
	return failed
}

func brokerReturns(e *exchangeEnv) {
	x := e.open()
	w, all := e.work(x.Inlet), make(confirmed)
	e.until("it works", func() bool { return !e.publishSome(x.Outlet, all) && w.seen() > 100 })
	e.harness.Broker.Stop()
	e.until("nothing is confirmed", func() bool { return e.publishSome(x.Outlet, all) })
	e.harness.Broker.Start()
	e.until("it works again", func() bool { return !e.publishSome(x.Outlet, all) })
	before := w.seen()
	e.until("the worker goes on", func() bool { return !e.publishSome(x.Outlet, all) && w.seen() > before+100 })
	e.until("everything that was confirmed has come", func() bool {
		for value := range all {
			if w.saw(value) == 0 {
				return false
			}
		}
		return true
	})
}
