package kafka_test

import (
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestForeignMessagesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	brokers := testkit.SharedKafka(t).Brokers
	opts := options(t, brokers)
	opts.Partitions = 1
	q := open(t, opts)
	long := strings.Repeat("{} ", 10_000)
	give := func() []kafkago.Record { // each can be read once
		return []kafkago.Record{
			{Value: kafkago.NewBytes([]byte("no key"))},
			{Key: kafkago.NewBytes([]byte("no id!")), Value: kafkago.NewBytes([]byte("\x00\xff"))},
			{Key: kafkago.NewBytes([]byte("order-17")), Value: kafkago.NewBytes([]byte(long))},
			{Key: kafkago.NewBytes([]byte("order-18"))}, // a tombstone
			{Key: kafkago.NewBytes([]byte("order-19")), Value: kafkago.NewBytes(nil), Time: time.Unix(0, 0)},
		}
	}
	compressions := []kafkago.Compression{0, kafkago.Gzip, kafkago.Snappy, kafkago.Lz4, kafkago.Zstd}
	for _, compression := range compressions {
		answer, err := admin(t, brokers).Produce(t.Context(), &kafkago.ProduceRequest{
			Topic: opts.Topic, RequiredAcks: kafkago.RequireAll, Compression: compression,
			Records: kafkago.NewRecordReader(give()...),
		})
		require.NoError(t, err)
		require.NoError(t, answer.Error)
	}
	for range compressions {
		got := receive(t, q, len(give()))
		require.Equal(t, []domain.ID{"", "", "order-17", "order-18", "order-19"}, ids(got))
		for i, want := range []string{"no key", "\x00\xff", long, "", ""} {
			require.Equal(t, want, string(got[i].Value))
			require.Contains(t, got[i].Place, opts.Topic+"-0-")
		}
		settle(q, got...)
	}
	settled(t, q)
}
