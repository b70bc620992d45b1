package redis

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestATaskRunsWhenItIsDueAndAtTheLatestAfterASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var ran []time.Duration
		waits := []time.Duration{time.Hour, 100 * time.Millisecond, time.Hour, 0}
		done := make(chan struct{})
		s := newSchedule(time.Now, time.Second, func() time.Duration {
			ran = append(ran, time.Since(began))
			if len(ran) == len(waits) {
				close(done)
			}
			return waits[len(ran)-1]
		})
		time.AfterFunc(1500*time.Millisecond, func() { // after the third time
			s.at(began.Add(1600 * time.Millisecond))
			s.at(began.Add(1700 * time.Millisecond)) // it is due earlier
		})
		s.run(done)
		require.Equal(t, []time.Duration{
			0, time.Second, 1100 * time.Millisecond, 1600 * time.Millisecond,
		}, ran[:4])
	})
}
