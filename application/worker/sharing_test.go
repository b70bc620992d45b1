package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// sharing is a process that shares its pauses through a mock. Inside a synctest bubble.
type sharing struct {
	*Gates

	pauses *mocks.MockPauses
	note   func(ports.Pause) // of another process
	log    bytes.Buffer
	ended  chan error
	stop   func()
}

func newSharing(t *testing.T, expect func(*mocks.MockPausesMockRecorder)) *sharing {
	t.Helper()
	s := &sharing{pauses: mocks.NewMockPauses(gomock.NewController(t)), ended: make(chan error, 1)}
	limits := map[string]Limit{"a": {URL: "http://a"}, "b": {URL: "http://b"}}
	s.Gates = NewGates(limits, time.Now, slog.New(slog.NewTextHandler(&s.log, nil)))
	s.pauses.EXPECT().Follow(gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, note func(ports.Pause)) error {
			s.note = note
			<-ctx.Done()
			return nil
		})
	expect(s.pauses.EXPECT())
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.ended <- s.SharePauses(ctx, s.pauses) }()
	synctest.Wait()
	return s
}

func (s *sharing) end(t *testing.T) {
	t.Helper()
	s.stop()
	require.NoError(t, <-s.ended)
}

// busy is an answer that asks for a pause.
func (s *sharing) busy(endpoint, seconds string) {
	header := domain.Header{"Retry-After": {seconds}}
	s.report(endpoint, s.epoch(endpoint), &domain.Response{StatusCode: http.StatusTooManyRequests, Header: header}, nil)
}

func TestAPauseIsSharedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, func(e *mocks.MockPausesMockRecorder) {
			e.Pause(gomock.Any(), ports.Pause{Endpoint: "a", URL: "http://a", Left: time.Minute})
			e.Pause(gomock.Any(), ports.Pause{Endpoint: "a", URL: "http://a", Left: 2 * time.Minute})
			e.Pause(gomock.Any(), ports.Pause{Endpoint: "b", URL: "http://b", Left: 10 * time.Minute})
		})
		for _, said := range [][2]string{{"a", "60"}, {"a", "60"}, {"a", "30"}, {"a", "120"}, {"b", "100000"}, {"c", "60"}} {
			for range 50 {
				s.busy(said[0], said[1])
			}
			synctest.Wait()
		}
		s.end(t)
	})
}

func TestOnlyABackendPausesAnEndpointEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, func(*mocks.MockPausesMockRecorder) {})
		s.report("a", 0, nil, &domain.Failure{Kind: domain.FailureShortage, Err: errors.New("no files")})
		synctest.Wait()
		require.NotZero(t, s.closedFor("a"))
		s.end(t)
	})
}

// TestAPauseIsSharedWhenTheStoreIsBack has a pause that lasts longer than the store is away, and one that does not.
func TestAPauseIsSharedWhenTheStoreIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var shared []ports.Pause
		s := newSharing(t, func(e *mocks.MockPausesMockRecorder) {
			e.Pause(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, p ports.Pause) error {
				if time.Since(began) < 30*time.Second {
					return fmt.Errorf("%w: away", ports.ErrUnavailable)
				}
				shared = append(shared, p)
				return nil
			}).AnyTimes()
		})
		s.busy("a", "300")
		s.busy("b", "5")
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Len(t, shared, 1)
		require.Equal(t, "a", shared[0].Endpoint)
		require.Greater(t, shared[0].Left, 3*time.Minute)
		require.LessOrEqual(t, shared[0].Left, 270*time.Second)
		s.end(t)
	})
}

func TestAPauseOfAnotherProcessIsHeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, func(*mocks.MockPausesMockRecorder) {}) // it is not shared again
		renewed := 0
		s.onChange(func() { renewed++ })
		for range 3 {
			s.note(ports.Pause{Endpoint: "a", URL: "http://a", Left: time.Minute})
		}
		s.note(ports.Pause{Endpoint: "b", URL: "http://other", Left: time.Minute})
		s.note(ports.Pause{Endpoint: "c", URL: "http://c", Left: time.Minute})
		require.Equal(t, 1, renewed, "what may be fetched has changed")
		credits, next := s.credits(10)
		require.Equal(t, map[string]int{"a": 0}, credits)
		require.Equal(t, time.Now().Add(time.Minute), next)
		require.Equal(t, map[string]string{"a": "paused by Retry-After"}, s.heldBack())
		require.Zero(t, s.closedFor("b"))
		require.Equal(t, 1, strings.Count(s.log.String(), "level=WARN"), s.log.String())

		<-time.After(59*time.Second + 700*time.Millisecond)
		s.note(ports.Pause{Endpoint: "a", URL: "http://a", Left: 310 * time.Millisecond}) // the way here takes some time
		<-time.After(time.Second)
		require.Zero(t, s.closedFor("a"))
		s.end(t)
	})
}

func TestAProcessHearsItsOwnPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, func(e *mocks.MockPausesMockRecorder) { e.Pause(gomock.Any(), gomock.Any()) })
		s.busy("a", "10")
		synctest.Wait()
		<-time.After(time.Second)
		s.note(ports.Pause{Endpoint: "a", URL: "http://a", Left: 9*time.Second + 10*time.Millisecond})
		require.Equal(t, 9*time.Second, s.closedFor("a"))
		require.Equal(t, 1, strings.Count(s.log.String(), "level=WARN"), s.log.String())
		s.end(t)
	})
}

func TestSharingEndsWithTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharing(t, func(e *mocks.MockPausesMockRecorder) {
			e.Pause(gomock.Any(), gomock.Any()).Return(ports.ErrClosed)
		})
		s.busy("a", "10")
		require.ErrorIs(t, <-s.ended, ports.ErrClosed)
	})
}
