package redis_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/tests/queuesuite"
	"github.com/openhqm/openhqm/tests/testkit"
)

// TestStreamsForOtherPrograms holds outlets and inlets to what those of carriers are held to.
func TestStreamsForOtherPrograms(t *testing.T) {
	t.Parallel()
	queuesuite.RunExchange(t, func(tb testing.TB, settings queuesuite.Settings) queuesuite.ExchangeHarness {
		tb.Helper()
		s := startServer(tb)
		h := queuesuite.ExchangeHarness{Traits: queuesuite.Traits{NoKeys: true, NoSizeLimit: true}}
		if settings.OwnBroker {
			h.Broker = queuesuite.Broker{
				Stop:  func() { require.NoError(tb, s.stop()) },
				Start: func() { require.NoError(tb, s.start()) },
			}
		}
		h.Open = func() (queuesuite.Exchange, error) {
			network := testkit.StartFaultProxy(tb, s.address)
			opts := retaining(strings.Replace(s.url(), s.address, network.Address, 1))
			opts.Lease, opts.Logger = settings.Takeover, settings.Logger
			db, err := redis.Open(tb.Context(), opts)
			if err != nil {
				return queuesuite.Exchange{}, err
			}
			tb.Cleanup(func() { require.NoError(tb, db.Close()) })
			outlet, err := db.Outlet(tb.Context(), otherStream)
			require.NoError(tb, err)
			inlet, err := db.Inlet(tb.Context(), otherStream)
			require.NoError(tb, err)
			return queuesuite.Exchange{
				Outlet: outlet, Inlet: inlet, Close: db.Close, Crash: func() { network.SetSilent(true) },
			}, nil
		}
		return h
	})
}
