package queuesuite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// carrierEnv is what a case about a whole carrier works with.
type carrierEnv struct {
	env

	harness Harness
	log     *testkit.LogBuffer
}

// open opens the queue in a process of its own, which ends with the test.
func (e *carrierEnv) open() Process {
	e.t.Helper()
	p, err := e.harness.Open()
	require.NoError(e.t, err)
	return p
}

// carrierCase is one sentence about a whole carrier.
type carrierCase struct {
	name      string
	run       func(e *carrierEnv)
	ownBroker bool
}

func carrierCases() []carrierCase {
	return []carrierCase{
		{name: "the high lane goes first and the low lane gets its share", run: lanesTakeTurns},
		{name: "the lag is what is not settled", run: lagIsWhatIsNotSettled},
		{name: "a mark passes when all is settled that was there", run: markPasses},
		{name: "a mark passes when all that was there is deleted", run: markPassesDeleted},
		{name: "what a leaving process holds goes to another at once", run: leavingHandsOn},
		{name: "all but receiving goes on after Leave", run: leavingEndsReceivingAlone},
		{name: "a closed carrier opens nothing", run: closedOpensNothing},
		{name: "requests and other queues do not mix", run: queuesDoNotMix},
		{name: "processes share an inlet", run: inletIsShared},
		{name: "an outage is probed and logged once", run: outageIsLoggedOnce, ownBroker: true},
	}
}

func lanesTakeTurns(e *carrierEnv) {
	p := e.open()
	low, high := messages(domain.LaneLow, 150), messages(domain.LaneHigh, 400)
	e.publish(p, slices.Concat(low, high))
	if e.harness.AwaitReadAhead != nil {
		e.harness.AwaitReadAhead(p.Carrier, len(low)+len(high))
	}
	const some = 80
	got := slices.Concat(e.receive(p, 1), e.receive(p, some-1)) // more than was read ahead for the first
	lows := 0
	for i, r := range got {
		if r.Lane == domain.LaneLow {
			lows++
		}
		require.LessOrEqual(e.t, lows, i/domain.LowLaneShare+1)
		require.GreaterOrEqual(e.t, lows, (i+1)/domain.LowLaneShare-1)
	}
	require.Equal(e.t, some/domain.LowLaneShare, lows)
}

// requireLag waits until so many messages are not settled, and returns when the oldest of them arrived.
func (e *carrierEnv) requireLag(p Process, want int) (oldest time.Time) {
	e.t.Helper()
	e.until("the lag is right", func() bool {
		lag, err := p.Lag(e.ctx)
		oldest = lag.Oldest
		return err == nil && lag.Messages == int64(want) && lag.Oldest.IsZero() == (want == 0)
	})
	return oldest
}

func lagIsWhatIsNotSettled(e *carrierEnv) {
	p := e.open()
	e.requireLag(p, 0)
	began := time.Now()
	sent := slices.Concat(messages(domain.LaneLow, 30), messages(domain.LaneHigh, 30))
	e.publish(p, sent)
	got := e.receive(p, len(sent))
	oldest := e.requireLag(p, len(sent))
	require.WithinRange(e.t, oldest, began.Add(-time.Second), time.Now().Add(time.Second)) // the broker has its own clock
	slices.Reverse(got)
	for _, r := range got {
		settle(p, r)
	}
	e.requireLag(p, 0)
}

// mark makes a mark. A broker that was just started may refuse for a moment, also below.
func (e *carrierEnv) mark(p Process) (mark ports.Mark) {
	e.t.Helper()
	e.until("a mark is made", func() (made bool) {
		var err error
		mark, err = p.Mark(e.ctx)
		return err == nil
	})
	return mark
}

func (e *carrierEnv) requireNotPassed(mark ports.Mark) {
	e.t.Helper()
	passed := false
	e.until("it is known whether the mark has passed", func() (known bool) {
		var err error
		passed, err = mark.Passed(e.ctx)
		return err == nil
	})
	require.False(e.t, passed)
}

// passes asks until a mark has passed.
func (e *carrierEnv) passes(mark ports.Mark) {
	e.t.Helper()
	e.until("the mark has passed", func() bool {
		passed, err := mark.Passed(e.ctx)
		return err == nil && passed
	})
}

func markPasses(e *carrierEnv) {
	p, other := e.open(), e.open()
	e.passes(e.mark(p)) // of a new queue
	sent := slices.Concat(messages(domain.LaneLow, 20), messages(domain.LaneHigh, 20))
	e.publish(other, sent)
	mark := e.mark(p)
	e.requireNotPassed(mark)
	got := e.receive(p, len(sent))
	e.requireNotPassed(mark)
	slices.Reverse(got)
	settle(p, got[1:]...) // the first one that came is still held
	e.requireNotPassed(mark)
	settle(p, got[0])
	e.passes(mark)

	e.publish(other, messages(domain.LaneLow, 1))
	e.requireNotPassed(e.mark(p))
}

func markPassesDeleted(e *carrierEnv) {
	p := e.open()
	e.publish(p, slices.Concat(messages(domain.LaneLow, 20), messages(domain.LaneHigh, 20)))
	mark := e.mark(p)
	e.requireNotPassed(mark)
	e.harness.Purge()
	e.passes(mark)

	e.publish(p, messages(domain.LaneHigh, 1))
	e.requireNotPassed(e.mark(p))
}

func leavingHandsOn(e *carrierEnv) {
	leaving := e.open()
	sent := slices.Concat(messages(domain.LaneLow, 30), messages(domain.LaneHigh, 30))
	e.publish(leaving, sent)
	held := e.receive(leaving, 20) // more may be read ahead
	settled := held[:5]
	settle(leaving, settled...)
	leaving.Leave()
	leaving.Leave()
	e.requireLost(held[5:])
	settle(leaving, held[5:]...) // it does nothing

	heir := e.open()
	expected := make(map[string]bool)
	for _, m := range sent {
		expected[string(m.Value)] = true
	}
	for _, r := range settled {
		delete(expected, string(r.Value))
	}
	for len(expected) > 0 {
		r := e.receive(heir, 1)[0]
		if !e.harness.Traits.SettledReturns {
			require.True(e.t, expected[string(r.Value)], "%s came again", r.Value)
		}
		delete(expected, string(r.Value))
		settle(heir, r)
	}
}

func leavingEndsReceivingAlone(e *carrierEnv) {
	p := e.open()
	outlet, err := p.Outlet(e.ctx, e.harness.Other)
	require.NoError(e.t, err)
	inlet, err := p.Inlet(e.ctx, e.harness.Other)
	require.NoError(e.t, err)
	p.Leave()
	_, err = p.Receive(e.ctx, 1, 1)
	require.ErrorIs(e.t, err, ports.ErrClosed)
	requests := messages(domain.LaneHigh, 3)
	e.publish(p, requests)
	sent := messages(domain.LaneLow, 3)
	e.publish(outlet, sent)
	got := e.receive(inlet, len(sent))
	e.requireSame(sent, got)
	settle(inlet, got...)
	e.requireSame(requests, e.receive(e.open(), len(requests)))
}

func closedOpensNothing(e *carrierEnv) {
	p := e.open()
	outlet := func(name string) error { _, err := p.Outlet(e.ctx, name); return err }
	inlet := func(name string) error { _, err := p.Inlet(e.ctx, name); return err }
	for _, open := range []func(name string) error{outlet, inlet} {
		require.Error(e.t, open(""))
		require.NoError(e.t, open(e.harness.Other))
	}
	require.NoError(e.t, p.Close())
	for _, open := range []func(name string) error{outlet, inlet} {
		require.ErrorIs(e.t, open(e.harness.Other), ports.ErrClosed)
	}
	require.ErrorIs(e.t, p.Probe(e.ctx), ports.ErrClosed)
	_, err := p.Lag(e.ctx)
	require.ErrorIs(e.t, err, ports.ErrClosed)
	p.Leave()
}

func queuesDoNotMix(e *carrierEnv) {
	p := e.open()
	outlet, err := p.Outlet(e.ctx, e.harness.Other)
	require.NoError(e.t, err)
	inlet, err := p.Inlet(e.ctx, e.harness.Other)
	require.NoError(e.t, err)
	others, requests := messages(domain.LaneHigh, 20), messages(domain.LaneHigh, 10)
	e.publish(outlet, others)
	e.publish(p, requests)
	e.requireSame(requests, e.receive(p, len(requests)))
	e.requireLag(p, len(requests))
	e.requireSame(others, e.receive(inlet, len(others)))
	e.until("it is healthy", func() bool { return p.Probe(e.ctx) == nil })
}

func inletIsShared(e *carrierEnv) {
	first, second := e.open(), e.open()
	outlet, err := first.Outlet(e.ctx, e.harness.Other)
	require.NoError(e.t, err)
	early := messages(domain.LaneLow, 5)
	e.publish(outlet, early) // an inlet begins with the first message there is
	workers := make([]*worker, 2)
	for i, p := range []Process{first, second} {
		inlet, err := p.Inlet(e.ctx, e.harness.Other)
		require.NoError(e.t, err)
		workers[i] = e.work(inlet)
	}
	all := make(confirmed)
	for _, m := range early {
		all[string(m.Value)] = true
	}
	e.until("both get some", func() bool {
		require.False(e.t, e.publishSome(outlet, all))
		return workers[0].seen() > 0 && workers[1].seen() > 0
	})
	e.until("everything has come", func() bool {
		for value := range all {
			if workers[0].saw(value)+workers[1].saw(value) == 0 {
				return false
			}
		}
		return true
	})
}

func outageIsLoggedOnce(e *carrierEnv) {
	p := e.open()
	e.until("it is healthy", func() bool { return p.Probe(e.ctx) == nil })
	all := make(confirmed)
	require.False(e.t, e.publishSome(p, all))
	e.harness.Broker.Stop()
	e.until("nothing is confirmed", func() bool { return e.publishSome(p, all) })
	probing, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	require.ErrorIs(e.t, p.Probe(probing), ports.ErrUnavailable)
	_, err := p.Lag(probing)
	require.ErrorIs(e.t, err, ports.ErrUnavailable)
	e.harness.Broker.Start()
	e.until("the end of the outage is logged", func() bool {
		return !e.publishSome(p, all) && strings.Contains(e.log.String(), "broker available again")
	})
	require.Equal(e.t, 1, strings.Count(e.log.String(), "broker unavailable"), e.log.String())
	e.until("it is healthy again", func() bool { return p.Probe(e.ctx) == nil })
}
