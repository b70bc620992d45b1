package paired_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var (
	goOn = ports.Begun{Verdict: ports.BegunGo}
	done = ports.Begun{Verdict: ports.BegunDone}
	keep = ports.Begun{Verdict: ports.BegunKeep}
	fail = ports.Begun{Err: errBehind}
)

func TestReceiveFollowsTheVerdictOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a"), message("b"), message("c"), message("d")}
		w.begins(goOn, done, keep, goOn)
		w.keeps(nil, "c")
		require.Equal(t, []domain.ID{"a", "d"}, w.receive(plenty(10)))
		w.requireSettled("b", "c")

		w.saves("a", nil)
		require.NoError(t, w.finish("a", domain.Completed))
		w.saves("d", nil)
		require.NoError(t, w.finish("d", domain.Pending))
		w.requireSettled("a", "b", "c", "d")
	})
}

// TestAnUnconfirmedBeginIsRepeatedWithTheSameTry holds that a delivery is not lost when only its answer was.
func TestAnUnconfirmedBeginIsRepeatedWithTheSameTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a"), message("b")}
		var tries []string
		for _, answers := range [][]ports.Begun{{fail, goOn}, {fail}, {goOn}} {
			w.consumer.EXPECT().Begin(gomock.Any(), gomock.Len(len(answers))).DoAndReturn(
				func(_ context.Context, arrivals []ports.Arrival) []ports.Begun {
					tries = append(tries, arrivals[0].Try)
					return answers
				})
		}
		require.Len(t, w.receive(plenty(10)), 1, "the one does not wait for the other")
		require.Len(t, w.receive(plenty(10)), 1)
		require.Len(t, tries, 3)
		require.NotEmpty(t, tries[0])
		require.Equal(t, []string{tries[0], tries[0]}, tries[1:])
		w.requireSettled()
	})
}

// TestAMessageThatCannotBeBegunHoldsUpNoOther has a request whose part of the store is away.
func TestAMessageThatCannotBeBegunHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("stuck"), message("a")}
		w.begins(fail, goOn)
		require.Equal(t, []domain.ID{"a"}, w.receive(plenty(10)))
		w.messages <- []ports.Received{message("b")}
		gomock.InOrder(w.begins(fail), w.begins(fail, goOn))
		require.Equal(t, []domain.ID{"b"}, w.receive(plenty(10)))
		w.ready <- []ports.Delivery{{Request: newRequest("stored")}}
		gomock.InOrder(w.begins(fail), w.begins(fail))
		require.Equal(t, []domain.ID{"stored"}, w.receive(plenty(10)))
		w.begins(goOn)
		require.Equal(t, []domain.ID{"stuck"}, w.receive(plenty(10)))
	})
}

// TestMessagesThatCannotBeBegunAreBounded has nothing that can be begun, and a queue that keeps handing out.
func TestMessagesThatCannotBeBegunAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		for range 10 {
			var some []ports.Received
			for range 16 {
				some = append(some, message("a"))
			}
			w.messages <- some
		}
		w.consumer.EXPECT().Begin(gomock.Any(), gomock.Any()).DoAndReturn(
			func(_ context.Context, arrivals []ports.Arrival) []ports.Begun {
				return slices.Repeat([]ports.Begun{fail}, len(arrivals))
			}).AnyTimes()
		w.nothing(plenty(100))
		require.Len(t, w.messages, 10-64/16, "of 16 each")
	})
}

func TestAMessageThatIsNotKeptIsNotSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a")}
		gomock.InOrder(
			w.begins(keep), w.keeps(errBehind, "a").Do(func(context.Context, []ports.Arrival) { w.requireSettled() }),
			w.begins(keep), w.keeps(nil, "a").Do(func(context.Context, []ports.Arrival) { w.requireSettled() }),
		)
		w.nothing(plenty(10))
		w.requireSettled("a")
	})
}

// TestAMessageWithoutCreditIsKept holds that it is not begun, and that the credit itself is left alone.
func TestAMessageWithoutCreditIsKept(t *testing.T) {
	t.Parallel()
	to := func(endpoint string) func(*domain.Request) {
		return func(r *domain.Request) { r.Endpoint = endpoint }
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{
			message("a", to("dead")), message("b", to("slow")), message("c", to("slow")), message("d", to("unknown")),
			message("e", to("fast")),
		}
		w.begins(goOn, goOn)
		w.keeps(nil, "a", "c", "d")
		credit := plenty(10)
		credit.Endpoints = map[string]int{"dead": 0, "slow": 1}
		credit.Known = map[string]struct{}{"dead": {}, "slow": {}, "fast": {}}
		require.Equal(t, []domain.ID{"b", "e"}, w.receive(credit))
		require.Equal(t, map[string]int{"dead": 0, "slow": 1}, credit.Endpoints)
		w.requireSettled("a", "c", "d")
	})
}

// TestMessagesBeyondTheCreditWait holds that it comes before anything else is asked of the queue.
func TestMessagesBeyondTheCreditWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a"), message("b"), message("c")}
		w.messages <- []ports.Received{message("later")}
		w.begins(goOn)
		require.Equal(t, []domain.ID{"a"}, w.receive(plenty(1)))
		w.begins(goOn)
		require.Equal(t, []domain.ID{"b"}, w.receive(ports.Credit{Count: 10, Bytes: 1}), "a first one, however large")
		w.ready <- []ports.Delivery{{Request: newRequest("stored")}}
		w.begins(goOn)
		require.Equal(t, []domain.ID{"c", "stored"}, w.receive(plenty(10)))
		w.begins(goOn)
		require.Equal(t, []domain.ID{"later"}, w.receive(plenty(10)))
	})
}

// TestAMessageThatIsDoneRefundsItsCredit has a message that turns out to be a copy: its credit is for the next one.
func TestAMessageThatIsDoneRefundsItsCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a"), message("b")}
		credit := plenty(1)
		credit.Endpoints = map[string]int{"orders": 1}
		gomock.InOrder(w.begins(done), w.begins(goOn))
		require.Equal(t, []domain.ID{"b"}, w.receive(credit))
	})
}

func TestReceiveReturnsWhatTheStoreHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.ready <- []ports.Delivery{{Request: newRequest("at once")}}
		require.Equal(t, []domain.ID{"at once"}, w.receive(plenty(10)))

		go func() {
			synctest.Wait()
			w.ready <- []ports.Delivery{{Request: newRequest("later")}}
		}()
		require.Equal(t, []domain.ID{"later"}, w.receive(plenty(10)))

		w.consumer.EXPECT().Finish(gomock.Any(), []ports.Finish{{ID: "later", Token: "of the store"}}).Return([]error{nil})
		require.NoError(t, w.Finish(t.Context(), []ports.Finish{{ID: "later", Token: "of the store"}})[0])
		w.requireSettled()
	})
}

func TestFinishSettlesTheMessageOfASavedDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a")}
		w.begins(goOn)
		w.receive(plenty(1))
		w.saves("a", errBehind)
		require.ErrorIs(t, w.finish("a", domain.Failed), ports.ErrUnavailable)
		w.requireSettled()
		w.saves("a", nil)
		require.NoError(t, w.finish("a", domain.Failed))
		w.requireSettled("a")
	})
}

// TestALostDeliveryIsKeptInTheStore: its new holder may have no message.
func TestALostDeliveryIsKeptInTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("a"), message("b")}
		w.begins(goOn, goOn)
		w.receive(plenty(2))
		w.saves("a", ports.ErrLost)
		w.keeps(nil, "a")
		require.ErrorIs(t, w.finish("a", domain.Completed), ports.ErrLost)
		w.requireSettled("a")

		w.saves("b", ports.ErrLost)
		w.keeps(errBehind, "b")
		require.ErrorIs(t, w.finish("b", domain.Completed), ports.ErrLost)
		w.requireSettled("a")
		w.begins(done) // it is looked at again
		w.nothing(plenty(1))
		w.requireSettled("a", "b")
	})
}

func TestAMessageLostBeforeItIsBegunIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		gone, lose := context.WithCancelCause(t.Context())
		lose(ports.ErrLost)
		lost := message("a")
		lost.Lost = gone
		w.messages <- []ports.Received{lost}
		w.nothing(plenty(1))
		w.requireSettled()
	})
}
