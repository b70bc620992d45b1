package conformance

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func idempotencyKeys() []testCase {
	return []testCase{
		{name: "the same key and fingerprint give the earlier request", run: sameKeyGivesEarlier},
		{name: "another fingerprint is a mismatch", run: otherFingerprintMismatches},
		{name: "keys belong to their owner", run: keysBelongToOwners},
		{name: "a key works within one call too", run: keysWithinOneCall},
		{name: "a thousand at once make one request", run: thousandAtOnce},
		{name: "a key is free again after CANCELLED and FAILED", run: keyIsFreed},
		{name: "a key is kept after COMPLETED and TIMEOUT", run: keyIsKept},
		{name: "a freed key belongs to its new request", run: freedKeyHasNewOwner},
		{name: "a key expires", run: keyExpires},
	}
}

// offer accepts one request that carries a key.
func (e *env) offer(r domain.Request) ports.Accepted {
	e.t.Helper()
	answers := e.Intake.Accept(e.ctx, []domain.Request{r})
	require.Len(e.t, answers, 1)
	require.NoError(e.t, answers[0].Err)
	return answers[0]
}

// requireSame offers a repeat of first.
func (e *env) requireSame(first, repeat domain.Request) {
	e.t.Helper()
	answer := e.offer(repeat)
	require.Equal(e.t, ports.AcceptedSame, answer.Outcome)
	require.Equal(e.t, first.ID, answer.Record.ID)
	require.WithinDuration(e.t, first.SubmittedAt, answer.Record.SubmittedAt, 0)
	require.Equal(e.t, first.Endpoint, answer.Record.Endpoint)
}

func (e *env) requireNew(r domain.Request) {
	e.t.Helper()
	answer := e.offer(r)
	require.Equal(e.t, ports.AcceptedNew, answer.Outcome)
	require.Equal(e.t, r.ID, answer.Record.ID)
}

func sameKeyGivesEarlier(e *env) {
	first := newRequest(withKey("k", 1))
	e.requireNew(first)
	repeat := newRequest(withKey("k", 1), notBefore(now().Add(time.Hour)))
	e.requireSame(first, repeat)
	require.True(e.t, e.gone(repeat.ID), "a repeat has no record")
	e.reopen()
	e.requireSame(first, repeat)
	e.requireDepth(ports.Depths{Ready: 1})

	w := e.consumer()
	d := e.one(w)
	require.Equal(e.t, first.ID, d.Request.ID)
	e.requireSame(first, repeat) // while it is begun
	e.finish(w, d, again(d, now()))
	e.requireSame(first, repeat)
}

func otherFingerprintMismatches(e *env) {
	first, other := newRequest(withKey("k", 1)), newRequest(withKey("k", 2))
	e.requireNew(first)
	require.Equal(e.t, ports.AcceptedMismatch, e.offer(other).Outcome)
	require.True(e.t, e.gone(other.ID), "a mismatch has no record")
	e.requireSame(first, newRequest(withKey("k", 1)))
	e.requireDepth(ports.Depths{Ready: 1})
}

func keysBelongToOwners(e *env) {
	owner := func(name string) func(*domain.Request) {
		return func(r *domain.Request) { r.Owner = name }
	}
	for _, name := range []string{"", "a", "ab"} {
		e.requireNew(newRequest(withKey("bc", 1), owner(name)))
	}
	e.requireNew(newRequest(withKey("c", 1), owner("ab"))) // ab+c is not a+bc
	e.requireNew(newRequest(withKey("", 1), owner("abc")))
}

func keysWithinOneCall(e *env) {
	first := newRequest(withKey("k", 1))
	answers := e.Intake.Accept(e.ctx, []domain.Request{
		first, newRequest(withKey("k", 1)), newRequest(withKey("k", 2)), newRequest(withKey("l", 1)), newRequest(),
	})
	for i, want := range []ports.AcceptOutcome{
		ports.AcceptedNew, ports.AcceptedSame, ports.AcceptedMismatch, ports.AcceptedNew, ports.AcceptedNew,
	} {
		require.NoError(e.t, answers[i].Err)
		require.Equal(e.t, want, answers[i].Outcome, "request %d", i)
	}
	require.Equal(e.t, first.ID, answers[1].Record.ID)
	e.requireDepth(ports.Depths{Ready: 3})
}

func thousandAtOnce(e *env) {
	const callers = 1000
	answered := make(chan domain.ID, callers)
	var fresh atomic.Int64
	var group errgroup.Group
	for range callers {
		group.Go(func() error {
			answer := e.Intake.Accept(e.ctx, []domain.Request{newRequest(withKey("k", 1))})[0]
			if answer.Err != nil {
				return answer.Err
			}
			switch answer.Outcome {
			case ports.AcceptedNew:
				fresh.Add(1)
			case ports.AcceptedSame:
			default:
				return errors.New("a repeat is no mismatch")
			}
			answered <- answer.Record.ID
			return nil
		})
	}
	require.NoError(e.t, group.Wait())
	require.EqualValues(e.t, 1, fresh.Load())
	id := <-answered
	for range callers - 1 {
		require.Equal(e.t, id, <-answered)
	}
	w := e.consumer()
	received := e.receive(w, plenty(callers))
	require.Equal(e.t, []domain.ID{id}, ids(received))
	if !e.harness.Traits.ApproximateDepth { // a carrier may have more than one message of it
		e.requireDepth(ports.Depths{Leased: 1})
	}
	e.finish(w, received[0], completed(received[0]))
	e.requireDepthOnceSeen(w, ports.Depths{})
}

// end makes a request with a key, and ends it.
func (e *env) end(w ports.Work, status domain.Status, key string) domain.Request {
	e.t.Helper()
	request := newRequest(withKey(key, 1))
	e.requireNew(request)
	if status == domain.Cancelled {
		e.cancel(request.ID)
		return request
	}
	d := e.one(w)
	out := failed(d)
	out.Status = status
	e.finish(w, d, out)
	return request
}

func keyIsFreed(e *env) {
	w := e.consumer()
	for _, status := range []domain.Status{domain.Cancelled, domain.Failed} {
		e.end(w, status, string(status))
		other := newRequest(withKey(string(status), 2))
		e.requireNew(other)
		e.requireSame(other, newRequest(withKey(string(status), 2)))
		e.cancel(other.ID)
	}
}

func keyIsKept(e *env) {
	w := e.consumer()
	for _, status := range []domain.Status{domain.Completed, domain.TimedOut} {
		first := e.end(w, status, string(status))
		answer := e.offer(newRequest(withKey(string(status), 1)))
		require.Equal(e.t, ports.AcceptedSame, answer.Outcome)
		require.Equal(e.t, status, answer.Record.Status)
		require.Equal(e.t, first.ID, answer.Record.ID)
		require.Equal(e.t, ports.AcceptedMismatch, e.offer(newRequest(withKey(string(status), 2))).Outcome)
	}
	e.nothing(w, plenty(1))
}

// freedKeyHasNewOwner ends two requests after their key expired and another took it: that one keeps it.
func freedKeyHasNewOwner(e *env) {
	w := e.consumer()
	cancelled, failing := newRequest(), newRequest()
	for _, r := range []*domain.Request{&cancelled, &failing} {
		withKey(string(r.ID), 1)(r)
		r.Idempotency.ExpiresAt = now().Add(50 * time.Millisecond)
	}
	e.accept(failing)
	d := e.one(w)
	e.accept(cancelled)

	heirs := []domain.Request{e.takeExpiredKey(cancelled), e.takeExpiredKey(failing)}
	e.cancel(cancelled.ID)
	e.finish(w, d, failed(d))
	for _, heir := range heirs {
		e.requireSame(heir, newRequest(withKey(heir.Idempotency.Key, 1)))
	}
}

// takeExpiredKey offers requests with the key of r until it has expired and one of them gets it.
func (e *env) takeExpiredKey(r domain.Request) domain.Request {
	e.t.Helper()
	var heir domain.Request
	var wrong error
	e.eventually(func() bool {
		heir = newRequest(withKey(r.Idempotency.Key, 1))
		answer := e.Intake.Accept(e.ctx, []domain.Request{heir})[0]
		if answer.Err != nil {
			wrong = answer.Err
			return true
		}
		if answer.Outcome != ports.AcceptedNew {
			return false
		}
		if early := time.Until(r.Idempotency.ExpiresAt); early > 0 {
			wrong = fmt.Errorf("the key was free %s too early", early)
		}
		return true
	}, "the key never expires")
	require.NoError(e.t, wrong)
	return heir
}

func keyExpires(e *env) {
	w := e.consumer()
	first := newRequest(withKey("k", 1))
	first.Idempotency.ExpiresAt = now().Add(300 * time.Millisecond)
	e.requireNew(first)
	d := e.one(w)
	e.finish(w, d, completed(d))
	second := e.takeExpiredKey(first)
	e.reopen()
	e.requireSame(second, newRequest(withKey("k", 1)))
	require.Equal(e.t, domain.Completed, e.state(first.ID).Status)
}
