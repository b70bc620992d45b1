package e2e_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// program is somebody else's that uses the same Kafka.
type program struct {
	t      *testing.T
	queue  *kafka.Queue
	inlets map[string]ports.Receiver // by topic
}

func newProgram(t *testing.T, broker *testkit.Kafka) program {
	t.Helper()
	queue, err := kafka.Open(t.Context(), kafka.Options{
		Brokers: broker.Brokers, Topic: "somebody-elses", Group: "somebody-else", InletGroup: "reads", Partitions: 1,
		Retention: 24 * time.Hour, MaxMessage: 100_000, SessionTimeout: 6 * time.Second,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, queue.Close()) })
	return program{t, queue, make(map[string]ports.Receiver)}
}

// read waits for the next message of a topic that has these words.
func (p program) read(topic string, words ...string) string {
	p.t.Helper()
	if p.inlets[topic] == nil {
		in, err := p.queue.Inlet(p.t.Context(), topic)
		require.NoError(p.t, err)
		p.inlets[topic] = in
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), testkit.Patience)
	defer cancel()
	for {
		received, err := p.inlets[topic].Receive(ctx, 1, 1<<30)
		require.NoError(p.t, err, "no message of %s has %v", topic, words)
		p.inlets[topic].Settle([]ports.Ticket{received[0].Ticket})
		value, all := string(received[0].Value), true
		for _, word := range words {
			all = all && strings.Contains(value, word)
		}
		if all {
			return value
		}
	}
}

func (p program) write(topic, id, value string) {
	p.t.Helper()
	out, err := p.queue.Outlet(p.t.Context(), topic)
	require.NoError(p.t, err)
	message := ports.QueueMessage{ID: domain.ID(id), Value: []byte(value)}
	require.NoError(p.t, out.Publish(p.t.Context(), []ports.QueueMessage{message})[0])
}

func TestOtherProgramsAndKafka(t *testing.T) {
	t.Parallel()
	broker := testkit.StartKafka(t, 1)
	otherPrograms(t, newProgram(t, broker), "", 2<<20,
		"OPENHQM_QUEUE_TYPE=kafka", "OPENHQM_KAFKA_BROKERS="+strings.Join(broker.Brokers, ","))
}
