package conformance

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func priorities() []testCase {
	share := func(count int) testCase {
		return testCase{
			name: fmt.Sprintf("the high lane goes first and the low one gets 1 in 8, %d at a time", count),
			run:  func(e *env) { lanesShare(e, count) },
		}
	}
	return []testCase{
		{name: "a lane that waits alone gets everything", run: laneAlone},
		{name: "priorities 0 to 4 are one lane and 5 to 9 the other", run: lanesByPriority},
		share(1), share(10), share(2000),
	}
}

// lanesShare looks at every run of deliveries while both lanes wait.
func lanesShare(e *env, count int) {
	const each = 800
	for range each / 100 {
		e.accept(newRequests(100, withPriority(0))...)
		e.accept(newRequests(100, withPriority(9), to("mails"))...)
	}
	w := e.consumer()
	var lanes []domain.Lane
	for len(lanes) < 2*each {
		for _, d := range e.receive(w, plenty(count)) {
			lanes = append(lanes, d.Request.Lane())
		}
	}

	var left [domain.LaneCount]int
	for _, lane := range lanes {
		left[lane]++
	}
	require.Equal(e.t, [domain.LaneCount]int{each, each}, left)
	low, sinceLow := 0, 0
	for i, lane := range lanes {
		left[lane]--
		if left[domain.LaneHigh] == 0 || left[domain.LaneLow] == 0 {
			break
		}
		sinceLow++
		if lane == domain.LaneLow {
			low, sinceLow = low+1, 0
		}
		require.Less(e.t, sinceLow, domain.LowLaneShare, "delivery %d: the low lane is starved", i)
		// Twice its share, so that a backend may round; more would not be the high lane first.
		require.LessOrEqual(e.t, low, 1+2*(i+1)/domain.LowLaneShare, "delivery %d: the low lane overtakes", i)
	}
}

func laneAlone(e *env) {
	w := e.consumer()
	for _, priority := range []int{0, 9} {
		reqs := newRequests(50, withPriority(priority))
		e.accept(reqs...)
		e.requireIDs(requestIDs(reqs), ids(e.collect(w, len(reqs))))
	}
}

func lanesByPriority(e *env) {
	for priority := range 10 {
		e.accept(newRequests(1, withPriority(priority))...)
	}
	w := e.consumer()
	for range 5 {
		require.GreaterOrEqual(e.t, e.one(w).Request.Priority, 5)
	}
}
