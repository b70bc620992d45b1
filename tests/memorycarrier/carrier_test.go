package memorycarrier_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/tests/memorycarrier"
	"github.com/openhqm/openhqm/tests/queuesuite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQueueSuite(t *testing.T) {
	t.Parallel()
	queuesuite.Run(t, func(_ testing.TB, settings queuesuite.Settings) queuesuite.Harness {
		broker := memorycarrier.New(memorycarrier.Options{MaxMessage: settings.MaxMessage, Logger: settings.Logger})
		return queuesuite.Harness{
			Other: "others",
			Open: func() (queuesuite.Process, error) {
				c := broker.Join("requests")
				return queuesuite.Process{Carrier: c, Crash: c.Crash}, nil
			},
			Purge: func() {
				broker.Purge("requests")
				broker.Purge("requests" + memorycarrier.HighSuffix)
			},
			Broker: queuesuite.Broker{
				Stop:  func() { broker.SetAway(true) },
				Start: func() { broker.SetAway(false) },
			},
		}
	})
}
