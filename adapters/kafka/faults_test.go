package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAnotherMemberTakesOverWhatACrashLeftUnsettled(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.SessionTimeout = 2 * time.Second
	doomed, sent := open(t, opts), messages(domain.LaneLow, 100)
	publish(t, doomed, sent)
	got := receive(t, doomed, len(sent))
	settle(doomed, got[:40]...)
	marked := kafka.Marked(doomed)
	require.Positive(t, marked)
	until(t, "what is settled is committed", func() bool {
		lag, err := doomed.Lag(t.Context())
		return err == nil && lag.Messages == int64(len(sent)-marked)
	})
	kafka.Vanish(doomed)
	require.ErrorIs(t, context.Cause(got[99].Lost), ports.ErrLost)

	heir := open(t, opts)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := make(map[domain.ID]bool)
	for len(again) < len(sent)-marked {
		some, err := heir.Receive(ctx, 1000, 1<<40)
		require.NoError(t, err)
		for _, r := range some {
			require.False(t, again[r.ID], "it came once already")
			again[r.ID] = true
		}
		settle(heir, some...)
	}
	for _, r := range got[40:] {
		require.True(t, again[r.ID], "it was not settled")
	}
	settled(t, heir)
}

// ledger is what workers have seen.
type ledger struct {
	mu   sync.Mutex
	seen map[domain.ID]int
}

func newLedger() *ledger { return &ledger{seen: make(map[domain.ID]int)} }

func (l *ledger) distinct() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// twice lists what came more than once.
func (l *ledger) twice() []domain.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []domain.ID
	for id, n := range l.seen {
		if n > 1 {
			list = append(list, id)
		}
	}
	return list
}

// work receives and settles until ctx ends or the queue is closed.
func (l *ledger) work(ctx context.Context, q *kafka.Queue) {
	for {
		some, err := q.Receive(ctx, 16, 1<<20)
		if err != nil {
			return
		}
		l.mu.Lock()
		for _, r := range some {
			l.seen[r.ID]++
		}
		l.mu.Unlock()
		settle(q, some...)
	}
}

func TestARebalanceUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	first, seen := open(t, opts), newLedger()
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	workers.Go(func() { seen.work(ctx, first) })
	sent := 0
	load := func(what string, enough func() bool) {
		until(t, what, func() bool {
			publish(t, first, messages(domain.LaneLow, 25))
			publish(t, first, messages(domain.LaneHigh, 25))
			sent += 50
			return enough()
		})
	}
	load("the first member works", func() bool { return seen.distinct() > 0 })
	second, third := open(t, opts), open(t, opts)
	alone, other := newLedger(), newLedger()
	workers.Go(func() { alone.work(ctx, second) })
	load("the second member works", func() bool { return alone.distinct() > 0 })
	workers.Go(func() { other.work(ctx, third) })
	load("the third member works", func() bool { return other.distinct() > 0 })
	second.Leave()
	before := seen.distinct() + other.distinct()
	load("the others take over", func() bool { return seen.distinct()+other.distinct() > before+100 })

	settled(t, first)
	all := make(map[domain.ID]bool)
	for _, l := range []*ledger{seen, alone, other} {
		l.mu.Lock()
		for id := range l.seen {
			all[id] = true
		}
		l.mu.Unlock()
	}
	require.Len(t, all, sent)
	require.Empty(t, seen.twice(), "nobody settles in vain who settles at once")
}

// TestWhatIsGivenUpWhileTheBrokerIsAwayIsNeverSent publishes more than may wait.
func TestWhatIsGivenUpWhileTheBrokerIsAwayIsNeverSent(t *testing.T) {
	t.Parallel()
	broker := testkit.StartKafka(t, 1)
	q, seen := open(t, options(t, broker.Brokers)), newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { seen.work(ctx, q) })
	publish(t, q, messages(domain.LaneLow, 20))
	until(t, "it works", func() bool { return seen.distinct() == 20 })
	broker.Kill(0)
	given := giveUp(t, q)
	broker.Restart(t, 0)
	testkit.Until(t, "it publishes again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return q.Publish(ctx, messages(domain.LaneLow, 1))[0] == nil
	})
	publish(t, q, messages(domain.LaneLow, 20))
	until(t, "it works again", func() bool { return seen.distinct() >= 41 })
	settled(t, q)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, m := range given {
		require.NotContains(t, seen.seen, m.ID, "it was not sent when its error was returned")
	}
}

// giveUp publishes more than may wait to a broker that is away.
func giveUp(t *testing.T, q *kafka.Queue) []ports.QueueMessage {
	t.Helper()
	all := messages(domain.LaneLow, 80)
	for i := range all {
		all[i].Value = make([]byte, 1<<20)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, err := range q.Publish(ctx, all) {
		require.ErrorIs(t, err, ports.ErrUnavailable)
	}
	return all
}

func TestOneBrokerOfThreeIsLost(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartKafka(t, 3)
	opts := options(t, cluster.Brokers)
	opts.Partitions = 6
	q, seen := open(t, opts), newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { seen.work(ctx, q) })
	sent := 0
	for range 5 {
		publish(t, q, messages(domain.LaneLow, 50))
		sent += 50
	}
	cluster.Kill(1)
	for range 5 {
		publish(t, q, messages(domain.LaneHigh, 50)) // no caller notices
		sent += 50
	}
	until(t, "everything has come", func() bool { return seen.distinct() >= sent })
	healthy(t, q)
	require.Empty(t, q.Details())

	requireWeakness(t, cluster.Brokers, 2, "min.insync.replicas is 1")
	requireWeakness(t, cluster.Brokers, 1, "it has 1 replica")
}

// requireWeakness wants both topics of a queue with so many replicas to be told of, and logged.
func requireWeakness(t *testing.T, brokers []string, replicas int, want string) {
	t.Helper()
	opts, logged := options(t, brokers), &testkit.LogBuffer{}
	opts.ReplicationFactor, opts.Logger = replicas, logged.Logger()
	details := open(t, opts).Details()
	require.Len(t, details, 2)
	require.Contains(t, details[opts.Topic], want)
	require.Contains(t, details[opts.Topic+".high"], want)
	require.Equal(t, 2, strings.Count(logged.String(), want), logged.String())
}

func TestATopicThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 50))
	settle(q, receive(t, q, 50)...)
	settled(t, q)
	deleteTopics(t, brokers, opts.Topic, opts.Topic+".high")

	for _, lane := range []domain.Lane{domain.LaneLow, domain.LaneHigh} {
		sent := messages(lane, 5)
		publish(t, q, sent)
		receiveEach(t, q, sent)
	}
	kept := fmt.Sprint(opts.Retention.Milliseconds())
	until(t, "it is made as before", func() bool { return setting(t, brokers, opts.Topic, "retention.ms") == kept })
	healthy(t, q)
}

// TestATopicThatAnOperatorMakesAgainIsUsed wants more replicas than there are brokers, so that we cannot.
func TestATopicThatAnOperatorMakesAgainIsUsed(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.ReplicationFactor, opts.MaxMessage = 3, 500_000
	topics := []string{opts.Topic, opts.Topic + ".high"}
	for _, topic := range topics {
		makeTopic(t, brokers, topic)
	}
	q := open(t, opts)
	deleteTopics(t, brokers, topics...)
	until(t, "it is missed", func() bool {
		kafka.Forget(q)
		err := q.Probe(t.Context())
		return err != nil && strings.Contains(err.Error(), "cannot be created")
	})
	for _, topic := range topics {
		makeTopic(t, brokers, topic)
	}
	healthy(t, q)
	publish(t, q, messages(domain.LaneLow, 5))
}

// receiveEach receives until each message has come. While a topic goes, one may be sent twice.
func receiveEach(t *testing.T, q *kafka.Queue, sent []ports.QueueMessage) {
	t.Helper()
	missing := make(map[domain.ID]bool)
	for _, id := range sentIDs(sent) {
		missing[id] = true
	}
	for len(missing) > 0 {
		delete(missing, receive(t, q, 1)[0].ID)
	}
}

func admin(t *testing.T, brokers []string) *kafkago.Client {
	t.Helper()
	transport := &kafkago.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafkago.Client{Addr: kafkago.TCP(brokers...), Transport: transport, Timeout: patience}
}

func deleteTopics(t *testing.T, brokers []string, topics ...string) {
	t.Helper()
	answer, err := admin(t, brokers).DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: topics})
	require.NoError(t, err)
	for _, topic := range topics {
		require.NoError(t, answer.Errors[topic])
	}
}

// setting reads a setting of a topic; "" when there is no topic.
func setting(t *testing.T, brokers []string, topic, name string) string {
	t.Helper()
	answer, err := admin(t, brokers).DescribeConfigs(t.Context(), &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name},
		}},
	})
	require.NoError(t, err)
	if answer.Resources[0].Error != nil {
		return ""
	}
	return answer.Resources[0].ConfigEntries[0].ConfigValue
}

// TestAGroupThatCannotBeJoinedIsUnhealthy has a session that is shorter than the broker allows.
func TestAGroupThatCannotBeJoinedIsUnhealthy(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.SessionTimeout = 500 * time.Millisecond
	q := open(t, opts)
	healthy(t, q) // nobody wants to join
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := q.Receive(ctx, 1, 1)
		ended <- err
	}()
	until(t, "it is told", func() bool {
		err := q.Probe(t.Context())
		return err != nil && strings.Contains(err.Error(), "session timeout")
	})
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestAGroupThatIsNeverJoinedIsAnError has a session that kafka-go does not take.
func TestAGroupThatIsNeverJoinedIsAnError(t *testing.T) {
	t.Parallel()
	opts := options(t, testkit.SharedKafka(t).Brokers)
	opts.SessionTimeout = 1000 * time.Hour
	q := open(t, opts)
	for range 2 {
		_, err := q.Receive(t.Context(), 1, 1)
		require.ErrorIs(t, err, ports.ErrClosed)
		require.ErrorContains(t, err, "SessionTimeout")
	}
	require.ErrorContains(t, q.Probe(t.Context()), "SessionTimeout")
	q.Leave()
	_, err := q.Receive(t.Context(), 1, 1)
	require.ErrorIs(t, err, ports.ErrClosed)
}

func TestABrokerThatHangsKeepsNobodyFromReceiving(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	for _, where := range []string{"before a good one", "alone in the configuration"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			front := testkit.StartFaultProxy(t, brokers[0])
			opts := options(t, []string{front.Address})
			if where == "before a good one" {
				opts.Brokers = append(opts.Brokers, brokers...)
			}
			q := open(t, opts)
			front.SetSilent(true)
			front.Reset() // or what was opened before would do
			sent := messages(domain.LaneLow, 10)
			publish(t, q, sent)
			got := receive(t, q, len(sent))
			require.ElementsMatch(t, sentIDs(sent), ids(got))
			settle(q, got...)
			settled(t, q)
			healthy(t, q)
		})
	}
}
