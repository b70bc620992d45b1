package paired_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

func TestReceiveIsClosedWithItsQueueOrStore(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*work){
		"queue": func(w *work) { close(w.messages) },
		"store": func(w *work) { close(w.ready) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWork(t)
				go func() {
					synctest.Wait()
					end(w)
				}()
				_, err := w.Receive(t.Context(), plenty(1))
				require.ErrorIs(t, err, ports.ErrClosed)
			})
		})
	}
}

func TestReceiveEndsWithTheCauseOfItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait()
			cancel(cause)
		}()
		_, err := w.Receive(ctx, plenty(1))
		require.ErrorIs(t, err, cause)
		_, err = w.Receive(ctx, plenty(1))
		require.ErrorIs(t, err, cause)
	})
}

// TestADeliveryBegunAsTheContextEndsIsHandedOut has a context that ends while a message is begun.
func TestADeliveryBegunAsTheContextEndsIsHandedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		ctx, cancel := context.WithCancel(t.Context())
		w.messages <- []ports.Received{message("a")}
		w.consumer.EXPECT().Begin(gomock.Any(), gomock.Len(1)).DoAndReturn(
			func(ctx context.Context, arrivals []ports.Arrival) []ports.Begun {
				cancel()
				require.NoError(t, ctx.Err(), "what is begun is not cut off")
				return []ports.Begun{{Delivery: ports.Delivery{Request: arrivals[0].Request}}}
			})
		deliveries, err := w.Receive(ctx, plenty(1))
		require.NoError(t, err)
		require.Len(t, deliveries, 1)
	})
}
