package sqs_test

import (
	"testing"
	"time"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/tests/queuesuite"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestQueueSuite(t *testing.T) {
	t.Parallel()
	queuesuite.Run(t, func(tb testing.TB, settings queuesuite.Settings) queuesuite.Harness {
		tb.Helper()
		h := queuesuite.Harness{Traits: queuesuite.Traits{NoKeys: true}}
		var server *testkit.SQS
		if settings.OwnBroker {
			server = testkit.StartSQS(tb)
			h.Broker = queuesuite.Broker{Stop: server.Kill, Start: func() { server.Restart(tb) }}
		} else {
			server = testkit.SharedSQS(tb)
		}
		opts := options(tb, server.URL)
		opts.MaxMessage, opts.Logger, opts.Visibility = settings.MaxMessage, settings.Logger, settings.Takeover
		sqs.SetEmptyFor(&opts, time.Second)
		h.Purge = func() {
			for _, name := range []string{opts.Queue, opts.HighQueue} {
				server.Purge(tb, name)
			}
		}
		h.Other = opts.Queue + "-others"
		h.Open = func() (queuesuite.Process, error) {
			opts, w := opts, newWire()
			opts.HTTPClient = client(tb, w)
			return queuesuite.Process{Carrier: open(tb, opts), Crash: w.vanish}, nil
		}
		return h
	})
}
