package application_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// errBroken is a store that does not confirm.
var errBroken = fmt.Errorf("%w: broken", ports.ErrUnavailable)

// morgue is a store of dead letters and an intake that remembers what it accepted. It returns the errors that a test
// sets.
type morgue struct {
	ports.DeadLetters // nil: for what resending does not ask

	mu        sync.Mutex
	letters   []domain.DeadLetter // newest first
	next      ports.DeadLetterPlace
	accepted  []domain.Request
	at        []time.Time // of each accepted
	listErr   error
	acceptErr map[domain.ID]error // by ResentFrom
	deleteErr map[domain.ID]error
	onAccept  func(ctx context.Context)
}

func (m *morgue) List(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ports.DeadLetterPage{Letters: slices.Clone(m.letters), Next: m.next}, m.listErr
}

func (m *morgue) Find(_ context.Context, id domain.ID) (domain.DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.index(id); i >= 0 {
		return m.letters[i], nil
	}
	return domain.DeadLetter{}, ports.ErrNotFound
}

func (m *morgue) Delete(ctx context.Context, id domain.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(ctx.Err(), m.deleteErr[id]); err != nil {
		return err
	}
	i := m.index(id)
	if i < 0 {
		return ports.ErrNotFound
	}
	m.letters = slices.Delete(slices.Clone(m.letters), i, i+1)
	return nil
}

func (m *morgue) Accept(ctx context.Context, reqs []domain.Request) []ports.Accepted {
	if m.onAccept != nil {
		m.onAccept(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(ctx.Err(), m.acceptErr[reqs[0].ResentFrom]); err != nil {
		return []ports.Accepted{{Err: err}}
	}
	m.accepted, m.at = append(m.accepted, reqs[0]), append(m.at, time.Now())
	return []ports.Accepted{{Record: domain.Record{ID: reqs[0].ID, SubmittedAt: reqs[0].SubmittedAt}}}
}

func (m *morgue) Cancel(context.Context, domain.ID) (domain.Record, error) {
	return domain.Record{}, ports.ErrNotFound
}

func (m *morgue) index(id domain.ID) int {
	return slices.IndexFunc(m.letters, func(l domain.DeadLetter) bool { return l.ID == id })
}

// left returns the ids of the dead letters that are still there.
func (m *morgue) left() []domain.ID {
	out := []domain.ID{}
	for _, letter := range m.letters {
		out = append(out, letter.ID)
	}
	return out
}

func deadLetter(id domain.ID, endpoint string) domain.DeadLetter {
	return domain.DeadLetter{
		ID: id, Endpoint: endpoint, Status: domain.Failed, FailedAt: noon.Add(-time.Hour),
		Request: &domain.Request{
			ID: id, Endpoint: endpoint, Method: "PUT", Body: []byte("body of " + id), Owner: "shop", Priority: 7,
			SubmittedAt: noon.Add(-2 * time.Hour), Deadline: noon.Add(-time.Hour), NotBefore: noon.Add(-90 * time.Minute),
		},
	}
}

// newResend makes a use-case over the morgue whose ids are new-1, new-2 and so on.
func newResend(t *testing.T, m *morgue) *application.Resend {
	t.Helper()
	observer := mocks.NewMockObserver(gomock.NewController(t))
	observer.EXPECT().Submitted(gomock.Any(), gomock.Any()).AnyTimes()
	n := 0
	return application.NewResend(application.ResendOptions{
		Endpoints: configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{"orders": {Name: "orders"}}}),
		MaxAge:    72 * time.Hour,
		Now:       func() time.Time { return noon.Add(123 * time.Nanosecond).In(time.FixedZone("", 3600)) },
		NewID: func() (domain.ID, error) {
			n++
			return domain.ID("new-" + strconv.Itoa(n)), nil
		},
	}, m, m, observer)
}

func TestResendMakesANewRequestAndRemovesTheDeadLetter(t *testing.T) {
	t.Parallel()
	letter := deadLetter("old", "orders")
	m := &morgue{letters: []domain.DeadLetter{letter}}
	resend := newResend(t, m)

	resent, err := resend.Resend(t.Context(), "old")
	require.NoError(t, err)
	require.Equal(t, ports.Resent{From: "old", ID: "new-1", SubmittedAt: noon}, resent)
	require.Equal(t, []domain.Request{{
		ID: "new-1", ResentFrom: "old", Endpoint: "orders", Method: "PUT", Body: []byte("body of old"), Owner: "shop",
		Priority: 7, SubmittedAt: noon, Deadline: noon.Add(time.Hour),
	}}, m.accepted)
	require.Empty(t, m.letters)

	_, err = resend.Resend(t.Context(), "old")
	require.ErrorIs(t, err, ports.ErrNotFound)
	require.Len(t, m.accepted, 1)
}

func TestResendNotifiesTheObserver(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, ports.ErrFull} {
		m := &morgue{
			letters:   []domain.DeadLetter{deadLetter("old", "orders")},
			acceptErr: map[domain.ID]error{"old": want},
		}
		observer := mocks.NewMockObserver(gomock.NewController(t))
		observer.EXPECT().Submitted(gomock.Any(), want)
		resend := application.NewResend(application.ResendOptions{
			Endpoints: configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{"orders": {}}}),
			Now:       time.Now,
			NewID:     func() (domain.ID, error) { return "new", nil },
		}, m, m, observer)
		_, err := resend.Resend(t.Context(), "old")
		require.ErrorIs(t, err, want)
	}
}

func TestWhatCannotBeSentAgainStays(t *testing.T) {
	t.Parallel()
	unreadable := deadLetter("old", "orders")
	unreadable.Request = nil
	for _, tt := range []struct {
		name   string
		letter domain.DeadLetter
		accept error
		want   error
	}{
		{"its endpoint is gone", deadLetter("old", "gone"), nil, ports.ErrUnknownEndpoint},
		{"its original cannot be read", unreadable, nil, ports.ErrUnreadable},
		{"the queue is full", deadLetter("old", "orders"), ports.ErrFull, ports.ErrFull},
		{"the queue does not confirm", deadLetter("old", "orders"), errBroken, ports.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &morgue{letters: []domain.DeadLetter{tt.letter}, acceptErr: map[domain.ID]error{"old": tt.accept}}
			_, err := newResend(t, m).Resend(t.Context(), "old")
			require.ErrorIs(t, err, tt.want)
			require.Empty(t, m.accepted)
			require.Equal(t, []domain.ID{"old"}, m.left())
		})
	}
}

func TestResendWithoutAnIDIsAnError(t *testing.T) {
	t.Parallel()
	noEntropy := errors.New("no entropy")
	m := &morgue{letters: []domain.DeadLetter{deadLetter("old", "orders")}}
	_, err := application.NewResend(application.ResendOptions{
		Endpoints: configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{"orders": {}}}),
		Now:       time.Now,
		NewID:     func() (domain.ID, error) { return "", noEntropy },
	}, m, m, nil).Resend(t.Context(), "old")
	require.ErrorIs(t, err, noEntropy)
	require.Equal(t, []domain.ID{"old"}, m.left())
}

func TestADeadLetterThatCannotBeDeletedIsReported(t *testing.T) {
	t.Parallel()
	m := &morgue{
		letters:   []domain.DeadLetter{deadLetter("old", "orders")},
		deleteErr: map[domain.ID]error{"old": errBroken},
	}
	_, err := newResend(t, m).Resend(t.Context(), "old")
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorContains(t, err, "new-1")
	require.Len(t, m.accepted, 1, "nothing is lost")
}

func TestAClientThatLeavesDoesNotCutAResendInTwo(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	m := &morgue{letters: []domain.DeadLetter{deadLetter("old", "orders")}}
	m.onAccept = func(ctx context.Context) {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		leave()
	}
	_, err := newResend(t, m).Resend(ctx, "old")
	require.NoError(t, err)
	require.Len(t, m.accepted, 1)
	require.Empty(t, m.letters)
}

func TestTwoResendsAtOnceMakeOneRequest(t *testing.T) {
	t.Parallel()
	m := &morgue{letters: []domain.DeadLetter{deadLetter("old", "orders")}}
	resend := newResend(t, m)
	errs := make(chan error)
	for range 10 {
		go func() {
			_, err := resend.Resend(t.Context(), "old")
			errs <- err
		}()
	}
	done := 0
	for range 10 {
		if err := <-errs; err == nil {
			done++
		} else {
			require.ErrorIs(t, err, ports.ErrNotFound)
		}
	}
	require.Equal(t, 1, done)
	require.Len(t, m.accepted, 1)
}

func TestAResendDoesNotWaitForAnotherForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck, release := make(chan struct{}), make(chan struct{})
		m := &morgue{letters: []domain.DeadLetter{deadLetter("a", "orders"), deadLetter("b", "orders")}}
		m.onAccept = func(context.Context) {
			close(stuck)
			<-release
		}
		resend := newResend(t, m)
		go func() { _, _ = resend.Resend(t.Context(), "a") }()
		<-stuck
		_, err := resend.Resend(t.Context(), "b")
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.Equal(t, []domain.ID{"a", "b"}, m.left())
		close(release)
		synctest.Wait()
	})
}

// deadLetters makes some of the given ids, each a second older than the one before.
func deadLetters(ids ...domain.ID) []domain.DeadLetter {
	out := make([]domain.DeadLetter, len(ids))
	for i, id := range ids {
		out[i] = deadLetter(id, "orders")
		out[i].FailedAt = noon.Add(-time.Duration(i) * time.Second)
	}
	return out
}

func place(letter domain.DeadLetter) ports.DeadLetterPlace {
	return ports.DeadLetterPlace{FailedAt: letter.FailedAt, ID: letter.ID}
}

func resentFrom(page ports.ResentPage) []domain.ID {
	var out []domain.ID
	for _, resent := range page.Resent {
		out = append(out, resent.From)
	}
	return out
}

func TestResendManyKeepsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &morgue{letters: deadLetters("a", "b", "c", "d"), next: ports.DeadLetterPlace{FailedAt: noon, ID: "x"}}
		began := time.Now()
		page, err := newResend(t, m).ResendMany(t.Context(), ports.DeadLetterFilter{Limit: 4}, 4)
		require.NoError(t, err)
		require.Equal(t, []domain.ID{"a", "b", "c", "d"}, resentFrom(page))
		require.Empty(t, page.Skipped)
		require.Equal(t, m.next, page.Next, "that of the list")
		require.Empty(t, m.letters)
		for i, at := range m.at {
			require.Equal(t, time.Duration(i)*250*time.Millisecond, at.Sub(began))
		}
	})
}

func TestResendManyPassesTheFilterOn(t *testing.T) {
	t.Parallel()
	filter := ports.DeadLetterFilter{
		Endpoint: "orders", Reason: domain.ReasonAttempts, Before: ports.DeadLetterPlace{FailedAt: noon}, Limit: 7,
	}
	letters := mocks.NewMockDeadLetters(gomock.NewController(t))
	letters.EXPECT().List(gomock.Any(), filter).Return(ports.DeadLetterPage{}, nil)
	resend := application.NewResend(application.ResendOptions{}, letters, nil, nil)
	page, err := resend.ResendMany(t.Context(), filter, 1)
	require.NoError(t, err)
	require.Equal(t, ports.ResentPage{}, page)
}

func TestResendManySkipsWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	letters := deadLetters("a", "gone", "b", "unreadable", "c")
	letters[1].Endpoint = "gone"
	letters[3].Request = nil
	m := &morgue{letters: letters}
	page, err := newResend(t, m).ResendMany(t.Context(), ports.DeadLetterFilter{}, 1000)
	require.NoError(t, err)
	require.Equal(t, []domain.ID{"a", "b", "c"}, resentFrom(page))
	require.Len(t, page.Skipped, 2)
	require.Equal(t, domain.ID("gone"), page.Skipped[0].ID)
	require.ErrorIs(t, page.Skipped[0].Err, ports.ErrUnknownEndpoint)
	require.Equal(t, domain.ID("unreadable"), page.Skipped[1].ID)
	require.ErrorIs(t, page.Skipped[1].Err, ports.ErrUnreadable)
	require.Zero(t, page.Next)
	require.Equal(t, []domain.ID{"gone", "unreadable"}, m.left())
}

func TestResendManyLeavesOutWhatWasRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	m := &morgue{letters: deadLetters("a", "b", "c")}
	m.onAccept = func(context.Context) {
		m.onAccept = nil
		require.NoError(t, m.Delete(t.Context(), "b"))
	}
	page, err := newResend(t, m).ResendMany(t.Context(), ports.DeadLetterFilter{}, 1000)
	require.NoError(t, err)
	require.Equal(t, []domain.ID{"a", "c"}, resentFrom(page))
	require.Empty(t, page.Skipped)
}

func TestResendManyStops(t *testing.T) {
	t.Parallel()
	letters := deadLetters("a", "b", "c")
	for _, tt := range []struct {
		name     string
		change   func(m *morgue, leave func())
		want     []domain.ID
		wantNext ports.DeadLetterPlace
		wantErr  error
	}{
		{"with an error when nothing can be listed", func(m *morgue, _ func()) {
			m.listErr = errBroken
		}, nil, ports.DeadLetterPlace{}, ports.ErrUnavailable},
		{"with an error when the first one fails", func(m *morgue, _ func()) {
			m.acceptErr = map[domain.ID]error{"a": ports.ErrFull}
		}, nil, ports.DeadLetterPlace{}, ports.ErrFull},
		{"with what was done when a later one fails", func(m *morgue, _ func()) {
			m.acceptErr = map[domain.ID]error{"c": ports.ErrFull}
		}, []domain.ID{"a", "b"}, place(letters[1]), nil},
		{"behind one that is sent and cannot be removed", func(m *morgue, _ func()) {
			m.deleteErr = map[domain.ID]error{"b": errBroken}
		}, []domain.ID{"a", "b"}, place(letters[1]), nil},
		{"when the client leaves", func(m *morgue, leave func()) {
			m.onAccept = func(context.Context) { leave() }
		}, []domain.ID{"a"}, place(letters[0]), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			m := &morgue{letters: letters}
			tt.change(m, leave)
			page, err := newResend(t, m).ResendMany(ctx, ports.DeadLetterFilter{}, 1000)
			require.ErrorIs(t, err, tt.wantErr)
			require.Equal(t, tt.want, resentFrom(page))
			require.Equal(t, tt.wantNext, page.Next)
			require.Len(t, m.accepted, len(tt.want))
		})
	}
}
