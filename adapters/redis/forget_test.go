package redis_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// unused lets endpoints have been used last a day ago.
func unused(t *testing.T, client *goredis.Client, endpoints ...string) {
	t.Helper()
	yesterday := float64(time.Now().Add(-24 * time.Hour).UnixMilli())
	for _, endpoint := range endpoints {
		require.NoError(t, client.ZAddXX(t.Context(), "{openhqm-requests}:used",
			goredis.Z{Score: yesterday, Member: endpoint}).Err())
	}
}

// keysOf lists what there is of an endpoint.
func keysOf(t *testing.T, client *goredis.Client, endpoint string) []string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*:"+endpoint).Result()
	require.NoError(t, err)
	for _, key := range []string{"{openhqm-requests}:endpoints", "{openhqm-requests}:used"} {
		var members []string
		if strings.HasSuffix(key, "used") {
			members, err = client.ZRange(t.Context(), key, 0, -1).Result()
		} else {
			members, err = client.SMembers(t.Context(), key).Result()
		}
		require.NoError(t, err)
		for _, member := range members {
			if member == endpoint {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func to(endpoint string) domain.Request {
	r := newRequest()
	r.Endpoint = endpoint
	return r
}

func TestEndpointsThatAreNotInUseAreForgotten(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	accept(t, db, to("ended"))
	finish(t, c, receive(t, c), domain.Completed)
	accept(t, db, to("held"))
	held := receive(t, c)
	accept(t, db, to("waits"))
	accept(t, db, to("in-use"))

	unused(t, client, "ended", "held", "waits")
	require.Eventually(t, func() bool { return len(keysOf(t, client, "ended")) == 0 }, patience, 10*time.Millisecond,
		"its streams stay for ever")
	for _, endpoint := range []string{"held", "waits", "in-use"} {
		require.GreaterOrEqual(t, len(keysOf(t, client, endpoint)), 4, endpoint)
	}
	finish(t, c, held, domain.Completed)
	require.ElementsMatch(t, []string{"waits", "in-use"},
		[]string{receive(t, c).Request.Endpoint, receive(t, c).Request.Endpoint})

	accept(t, db, to("ended"))
	require.Equal(t, "ended", receive(t, c).Request.Endpoint, "it is made again")
}

// TestADelayedRequestOfAForgottenEndpointBecomesReady has one whose streams are gone when it is due.
func TestADelayedRequestOfAForgottenEndpointBecomesReady(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	db := openDB(t, options(s.url()))
	c := consume(t, db)
	accept(t, db, to("orders"))
	finish(t, c, receive(t, c), domain.Completed)
	delayed := to("orders")
	delayed.NotBefore = time.Now().Add(2 * time.Second)
	accept(t, db, delayed)
	unused(t, client, "orders")
	require.Eventually(t, func() bool { return len(keysOf(t, client, "orders")) == 0 }, patience, 10*time.Millisecond)
	require.Equal(t, delayed.ID, receive(t, c).Request.ID)
}
