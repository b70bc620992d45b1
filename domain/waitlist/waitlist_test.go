package waitlist_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/waitlist"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// woken reports whether a wake-up is there.
func woken(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func TestWakeReachesEverybodyWhoWaitsForTheRequest(t *testing.T) {
	t.Parallel()
	var l waitlist.List
	first, leaveFirst := l.Add("a")
	second, leaveSecond := l.Add("a")
	other, leaveOther := l.Add("b")
	defer leaveOther()

	l.Wake("a", "nobody waits for this one")
	require.True(t, woken(first))
	require.True(t, woken(second))
	require.False(t, woken(other))

	leaveFirst()
	l.Wake("a")
	l.Wake("a")
	require.False(t, woken(first), "it has left")
	require.True(t, woken(second))
	require.False(t, woken(second), "two wake-ups before a look are one")

	leaveSecond()
	l.WakeAll()
	require.False(t, woken(second))
	require.True(t, woken(other))
}

func TestNoWakeUpAfterAddIsLost(t *testing.T) {
	t.Parallel()
	const n = 100
	var l waitlist.List
	var waiting sync.WaitGroup
	added := make(chan struct{}, n)
	for range n {
		waiting.Go(func() {
			changed, leave := l.Add(domain.ID("a"))
			defer leave()
			added <- struct{}{}
			<-changed
		})
	}
	for range n {
		<-added
	}
	l.Wake("a")
	waiting.Wait()
}
