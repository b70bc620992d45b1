package redis_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// documentedUser returns the ACL SETUSER command of the README, which names a user with the least permissions.
func documentedUser(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, command, found := strings.Cut(string(readme), "redis-cli ACL SETUSER ")
	require.True(t, found, "README.md has no such command")
	command, _, found = strings.Cut(command, "\n```")
	require.True(t, found, "the code block of the command does not end")
	shell := strings.NewReplacer("'", "", "\\\n", " ", "PASSWORD", "sesame")
	return strings.Fields(shell.Replace("ACL SETUSER " + command))
}

func setUser(t *testing.T, client *goredis.Client, rules ...string) {
	t.Helper()
	args := make([]any, len(rules))
	for i, rule := range rules {
		args[i] = rule
	}
	require.NoError(t, client.Do(t.Context(), args...).Err())
}

func asUser(url string) string { return strings.Replace(url, "redis://", "redis://openhqm:sesame@", 1) }

// loseEverything ends what a carrier has lost, after it has looked twice.
func loseEverything(t *testing.T, db *redis.DB) {
	t.Helper()
	require.NoError(t, db.Claim(t.Context(), "carrier"))
	create(t, db, newRequest())
	looks := 0
	require.Eventually(t, func() bool {
		before, err := db.Suspects(t.Context(), 0)
		require.NoError(t, err)
		if !before.IsZero() {
			looks++
		}
		return looks > 1
	}, patience, time.Millisecond)
	require.Equal(t, 1, endLost(t, db, time.Now().Add(time.Hour)))
}

// doEverything uses all that there is to use.
func doEverything(t *testing.T, opts redis.Options, client goredis.UniversalClient) {
	t.Helper()
	opts.Lease = 2 * time.Second
	opts.Retention = time.Hour
	db := openDB(t, opts)
	results, letters := workOff(t, db, ports.NoticeResult), workOff(t, db, ports.NoticeDeadLetter)
	settleAll(t, inlet(t, db, otherStream))
	c := consume(t, db)
	first, retried, cancelled, ended := newRequest(), newRequest(), newRequest(), newRequest()
	first.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: time.Now().Add(time.Hour)}
	first.Deadline = time.Now().Add(-3 * time.Second) // it is late, but somebody works on it
	accept(t, db, first)
	accept(t, db, first)
	held := receive(t, c)
	extended := float64(time.Now().Add(opts.Lease + opts.Lease/4).UnixMilli())
	require.Eventually(t, func() bool {
		for _, shard := range []string{"{openhqm-requests}", "{openhqm-requests/1}", "{openhqm-requests/2}"} {
			if client.ZScore(t.Context(), shard+":deadlines", string(first.ID)).Val() > extended {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	finish(t, c, held, domain.Completed)

	accept(t, db, retried)
	d := receive(t, c)
	require.NoError(t, c.Finish(t.Context(), []ports.Finish{{ID: retried.ID, Token: d.Token, Outcome: domain.Outcome{
		Status: domain.Pending, At: time.Now(), NextAttemptAt: time.Now().Add(10 * time.Millisecond),
	}}})[0])
	finish(t, c, receive(t, c), domain.Failed)
	cancelled.NotBefore = time.Now().Add(time.Hour)
	accept(t, db, cancelled)
	_, err := db.Cancel(t.Context(), cancelled.ID)
	require.NoError(t, err)

	mortal, kill := context.WithCancel(t.Context())
	dying, wait := db.NewConsumer(mortal)
	accept(t, db, ended)
	receive(t, dying)
	kill()
	wait()
	require.Equal(t, ended.ID, receive(t, c).Request.ID, "taken over")
	require.NoError(t, db.Conclude(t.Context(), []ports.Conclusion{{ID: ended.ID, Status: domain.Failed}})[0])
	_, err = db.Wait(t.Context(), ended.ID)
	require.NoError(t, err)
	require.NoError(t, db.Reject(t.Context(), rejection(newRequest(), "oops", "no JSON")))
	require.Equal(t, []error{nil}, publish(t, outlet(t, db, otherStream), "hello"))
	requireSettled(t, client, otherStream)
	letters.await(t, 3)
	results.await(t, 5)
	page, err := db.DeadLetters().List(t.Context(), ports.DeadLetterFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Letters, 3)
	require.NoError(t, db.DeadLetters().Delete(t.Context(), retried.ID))
	loseEverything(t, db)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	_, err = db.Depths(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.Tidy(t.Context(), 0))
	require.Eventually(t, func() bool { // a worker that stops listening stirs itself
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := c.Receive(brief, ports.Credit{Count: 1, Bytes: 1})
		_, stirred := client.InfoMap(t.Context(), "commandstats").Val()["Commandstats"]["cmdstat_expire"]
		return stirred && errors.Is(err, context.DeadlineExceeded)
	}, patience, time.Millisecond)
}

// TestTheDocumentedPermissionsAreThoseThatAreNeeded has a user who may do no more than the documentation says, and
// finds that all of it is used.
func TestTheDocumentedPermissionsAreThoseThatAreNeeded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	startReplica(t, s)
	client := s.client()
	user := documentedUser(t)
	setUser(t, client, user...)
	opts := options(asUser(s.url()))
	opts.WaitReplicas, opts.Shards = 1, 2
	require.Eventually(t, func() bool {
		return strings.Contains(client.Info(t.Context(), "replication").Val(), "state=online")
	}, patience, 10*time.Millisecond)
	require.NoError(t, client.ConfigResetStat(t.Context()).Err())
	doEverything(t, opts, client)
	refused, err := client.Do(t.Context(), "ACL", "LOG").Slice()
	require.NoError(t, err)
	require.Empty(t, refused)

	stats, err := client.InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	onClusters := []string{"+cluster|slots", "+command"}
	for _, rule := range user {
		name, isCommand := strings.CutPrefix(rule, "+")
		if isCommand && !slices.Contains(onClusters, rule) {
			_, used := stats["Commandstats"]["cmdstat_"+name]
			require.True(t, used, "%s is never used", name)
		}
	}
}

func TestTheDocumentedPermissionsAreEnoughForACluster(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	admin := clusterClient(t, url)
	user := documentedUser(t)
	require.NoError(t, admin.ForEachMaster(t.Context(), func(ctx context.Context, node *goredis.Client) error {
		args := make([]any, len(user))
		for i, rule := range user {
			args[i] = rule
		}
		return node.Do(ctx, args...).Err()
	}))
	opts := options(asUser(url))
	opts.Shards = 3
	doEverything(t, opts, admin)
	require.NoError(t, admin.ForEachMaster(t.Context(), func(ctx context.Context, node *goredis.Client) error {
		refused, err := node.Do(ctx, "ACL", "LOG").Slice()
		require.Empty(t, refused)
		return err
	}))
}

// TestAPermissionThatIsMissingIsReportedAtTheStart takes one after the other away, except those that are only used when
// something has happened.
func TestAPermissionThatIsMissingIsReportedAtTheStart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	user := documentedUser(t)
	later := []string{ // told of by the first call that needs them
		"+info", "+config|get", "+eval", "+multi", "+exec", "+wait", "+cluster|slots", "+command",
		"+set", "+expire", "+blpop", "+ssubscribe",
	}
	for i, rule := range user {
		if !strings.HasPrefix(rule, "+") && !strings.HasPrefix(rule, "~{") && !strings.HasPrefix(rule, "&") ||
			slices.Contains(later, rule) {
			continue
		}
		setUser(t, client, "ACL", "SETUSER", "openhqm", "reset")
		setUser(t, client, slices.Delete(slices.Clone(user), i, i+1)...)
		_, err := redis.Open(t.Context(), options(asUser(s.url())))
		require.ErrorIs(t, err, ports.ErrUnavailable, rule)
		require.ErrorContains(t, err, "does not allow this user", rule)
		require.NotContains(t, err.Error(), "sesame")
	}
}
