package sqs_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// refuse has SQS refuse what an action asks of a queue; of the others it lets everything through.
func refuse(w *wire, action, queue, code string) {
	w.inject(func(asked, body string) *http.Response {
		if asked == action && strings.Contains(body, "/"+queue+`"`) {
			return refusal(http.StatusBadRequest, code)
		}
		return nil
	})
}

// TestProbeReportsWhatIsRefused has queues whose depth can be asked for, and one thing that cannot be done with them.
func TestProbeReportsWhatIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ action, code, want string }{
		{"ReceiveMessage", "KmsAccessDenied", "permission sqs:ReceiveMessage"},
		{"SendMessageBatch", "AccessDeniedException", "permission sqs:SendMessage"},
		{"DeleteMessageBatch", "AccessDenied", "permission sqs:DeleteMessage"},
		{"ChangeMessageVisibilityBatch", "KmsDisabled", "permission sqs:ChangeMessageVisibility"},
	}
	for _, tt := range tests {
		for _, suffix := range []string{"", "-beside"} {
			t.Run(tt.action+suffix, func(t *testing.T) {
				t.Parallel()
				opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
				opts.HTTPClient, opts.Visibility = client(t, w), brief
				sqs.SetLongPoll(&opts, time.Second)
				q := open(t, opts)
				out, in := ports.Publisher(q), ports.Receiver(q)
				if suffix != "" {
					var err error
					out, err = q.Outlet(t.Context(), opts.Queue+suffix)
					require.NoError(t, err)
					in, err = q.Inlet(t.Context(), opts.Queue+suffix)
					require.NoError(t, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				worked := make(chan struct{})
				go func() {
					defer close(worked)
					work(ctx, out, in)
				}()
				defer func() { cancel(); <-worked }()
				until(t, "everything is done once", func() bool { return w.count("DeleteMessageBatch") > 0 })
				require.NoError(t, q.Probe(t.Context()))

				refuse(w, tt.action, opts.Queue+suffix, tt.code)
				var err error
				until(t, "the probe tells", func() bool { err = q.Probe(t.Context()); return err != nil })
				_, degraded := errors.AsType[ports.Degraded](err)
				require.Equal(t, suffix != "", degraded, "the lanes still work")
				require.Equal(t, suffix == "", errors.Is(err, ports.ErrUnavailable))
				require.ErrorContains(t, err, tt.want)
				require.ErrorContains(t, err, `"`+opts.Queue+suffix+`"`)
				require.NotContains(t, err.Error(), "no-such-secret")
				w.inject(nil)
				until(t, "the next success clears it", func() bool { return q.Probe(t.Context()) == nil })
			})
		}
	}
}

// work sends, receives and settles, and keeps every other message, until ctx ends.
func work(ctx context.Context, out ports.Publisher, in ports.Receiver) {
	for n := 0; ctx.Err() == nil; n++ {
		out.Publish(ctx, messages(domain.LaneLow, 1))
		trying, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		got, _ := in.Receive(trying, 1, 1)
		cancel()
		if n%2 == 0 {
			settle(in, got...)
		}
	}
}

// TestARefusalEndsWhenNothingIsTried has a process that is not ready, and so is asked for nothing.
func TestARefusalEndsWhenNothingIsTried(t *testing.T) {
	t.Parallel()
	opts, w, later := options(t, testkit.SharedSQS(t).URL), newWire(), &clock{}
	opts.HTTPClient, opts.Now = client(t, w), later.now
	q := open(t, opts)
	refuse(w, "SendMessageBatch", opts.Queue, "AccessDenied")
	require.ErrorIs(t, q.Publish(t.Context(), messages(domain.LaneLow, 1))[0], ports.ErrUnavailable)
	require.ErrorContains(t, q.Probe(t.Context()), "permission sqs:SendMessage")
	later.ahead.Store(int64(time.Minute))
	require.NoError(t, q.Probe(t.Context()))
}

// TestARefusedMessageIsNoOutage has a message that SQS takes from nobody.
func TestARefusedMessageIsNoOutage(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	refuse(w, "SendMessageBatch", opts.Queue, "InvalidMessageContents")
	require.ErrorIs(t, q.Publish(t.Context(), messages(domain.LaneLow, 1))[0], ports.ErrUnavailable)
	require.NoError(t, q.Probe(t.Context()))
}

// clock is one that a test can put ahead.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
