package conformance

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func returning() []testCase {
	alone := func(h Harness) bool { return !h.Traits.BroughtFirst }
	return []testCase{
		{name: "what is handed back goes before all other lanes and endpoints", run: returnedFirst, applies: alone},
		{
			name: "what is handed back waits while its endpoint is refused, and keeps its place", run: returnedAndRefused,
			applies: alone,
		},
		{name: "what is handed back can be cancelled, and ends at its deadline", run: returnedAndFinal},
	}
}

// handBack returns deliveries without a call.
func (e *env) handBack(w ports.Work, deliveries ...ports.Delivery) {
	for _, d := range deliveries {
		e.finish(w, d, released(d, now()))
	}
}

func returnedFirst(e *env) {
	w := e.consumer()
	first := append(newRequests(10, withPriority(1)), newRequests(10, to("mails"), withPriority(1))...)
	e.accept(first...)
	held := e.collect(w, len(first))
	e.accept(newRequests(60, withPriority(9))...)
	e.accept(newRequests(60, to("mails"), withPriority(9))...)
	before := e.depth()
	e.handBack(w, held...)
	require.Equal(e.t, domain.Pending, e.find(held[0].Request.ID).Status)
	depth := e.depth()
	require.Equal(e.t, before.Ready+int64(len(held)), depth.Ready)
	require.Zero(e.t, depth.Leased)

	var again []ports.Delivery
	for len(again) < len(held) {
		again = append(again, e.receive(w, plenty(1))...)
	}
	e.requireIDs(requestIDs(first), ids(again))
	for _, d := range again {
		require.Equal(e.t, 1, d.Deliveries)
		e.finish(w, d, completed(d))
	}
	rest := e.collect(w, 120)
	for _, d := range rest {
		e.finish(w, d, completed(d))
	}
	e.requireNothingLeft(w)
}

func returnedAndRefused(e *env) {
	w := e.consumer()
	refused := newRequests(20, to("dead"))
	e.accept(refused...)
	held := e.collect(w, len(refused))
	e.accept(newRequests(20, to("dead"))...)
	e.handBack(w, held...)
	flowing := newRequests(20)
	e.accept(flowing...)
	credit := plenty(64)
	credit.Endpoints = map[string]int{"dead": 0}
	var got []domain.ID
	for len(got) < len(flowing) {
		got = append(got, ids(e.receive(w, credit))...)
	}
	e.requireIDs(requestIDs(flowing), got)
	e.nothing(w, credit)
	e.requireIDs(requestIDs(refused), ids(e.receive(w, plenty(len(refused)))))
}

func returnedAndFinal(e *env) {
	w := e.consumer()
	cancelled, overdue := newRequest(), newRequest(withDeadline(now().Add(e.soon()+time.Second)))
	e.accept(cancelled, overdue)
	e.handBack(w, e.collect(w, 2)...)
	require.Equal(e.t, domain.Cancelled, e.cancel(cancelled.ID).Status)
	require.Equal(e.t, domain.TimedOut, e.endsAtDeadline(overdue).Status)
	e.nothing(w, plenty(10))
	e.requireDepthOnceSeen(w, ports.Depths{DeadLetters: 1})
}
