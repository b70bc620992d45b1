package conformance

import (
	"maps"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func credits() []testCase {
	return []testCase{
		{name: "no more than Count", run: creditOfCount},
		{name: "no more than Bytes, but always one", run: creditOfBytes},
		{name: "a refused endpoint waits and others flow", run: refusedEndpointWaits},
		{name: "a limited endpoint gets no more than its credit", run: limitedEndpoint},
		{name: "credit is for one call", run: creditIsForOneCall},
		{name: "a refused endpoint comes when it has credit again, in both lanes", run: refusedEndpointReturns},
	}
}

func creditOfCount(e *env) {
	w := e.consumer()
	reqs := newRequests(100)
	e.accept(reqs...)
	var got []domain.ID
	for len(got) < len(reqs) {
		got = append(got, ids(e.receive(w, plenty(7)))...) // receive looks at the count
	}
	e.requireIDs(requestIDs(reqs), got)
}

func creditOfBytes(e *env) {
	w := e.consumer()
	const size = 1000
	reqs := newRequests(20, withBody(make([]byte, size)))
	e.accept(reqs...)
	credit := ports.Credit{Count: 100, Bytes: 3*size + size/2}
	got := 0
	for got < len(reqs) {
		deliveries := e.receive(w, credit)
		var bytes int64
		for _, d := range deliveries {
			bytes += d.Request.Size()
		}
		require.LessOrEqual(e.t, bytes, credit.Bytes)
		got += len(deliveries)
	}

	e.accept(newRequests(3, withBody(make([]byte, size)))...)
	for range 3 {
		require.Len(e.t, e.receive(w, ports.Credit{Count: 100, Bytes: 1}), 1, "the first one, even when it is larger")
	}
}

func refusedEndpointWaits(e *env) {
	w := e.consumer()
	refused := newRequests(600, to("dead"), withPriority(9))
	e.accept(refused...)
	flowing := append(newRequests(20, to("a")), newRequests(20, to("b"))...)
	e.accept(flowing...)
	credit := plenty(64)
	credit.Endpoints = map[string]int{"dead": 0}
	var got []domain.ID
	for len(got) < len(flowing) {
		got = append(got, ids(e.receive(w, credit))...)
	}
	e.requireIDs(requestIDs(flowing), got)
	e.nothing(w, credit)
	e.requireDepth(ports.Depths{Ready: int64(len(refused)), Leased: int64(len(flowing))})
	require.Equal(e.t, domain.Pending, e.state(refused[0].ID).Status)
	require.Zero(e.t, e.state(refused[0].ID).Deliveries)
}

func limitedEndpoint(e *env) {
	w := e.consumer()
	e.accept(newRequests(40, to("slow"))...)
	e.accept(newRequests(40, to("slow"), withPriority(9))...)
	e.accept(newRequests(40, to("fast"))...)
	credit := plenty(30)
	credit.Endpoints = map[string]int{"slow": 3, "absent": 5}
	want := maps.Clone(credit.Endpoints)
	slow, fast := 0, 0
	for slow+fast < 120 {
		bySlow := 0
		for _, d := range e.receive(w, credit) {
			if d.Request.Endpoint == "slow" {
				bySlow++
			} else {
				fast++
			}
		}
		require.LessOrEqual(e.t, bySlow, 3)
		slow += bySlow
		require.Equal(e.t, want, credit.Endpoints, "Receive changes nothing of the caller's")
	}
}

func creditIsForOneCall(e *env) {
	a, b := e.consumer(), e.consumer()
	e.accept(newRequests(6, to("slow"))...)
	credit := plenty(10)
	credit.Endpoints = map[string]int{"slow": 2}
	got := 0
	for got < 6 {
		got += len(e.receive(a, credit))
		if got < 6 {
			got += len(e.receive(b, credit))
		}
	}
	require.Equal(e.t, 6, got)
}

func refusedEndpointReturns(e *env) {
	w := e.consumer()
	refused := append(newRequests(100, to("dead")), newRequests(100, to("dead"), withPriority(9))...)
	e.accept(refused...)
	credit := plenty(64)
	credit.Endpoints = map[string]int{"dead": 0}
	e.nothing(w, credit)
	e.reopen()
	w = e.consumer()
	e.nothing(w, credit)
	e.requireIDs(requestIDs(refused), ids(e.collect(w, len(refused))))
}
