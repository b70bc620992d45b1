package domain_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Decide turns the end of an attempt into what happens next. It reads no clock and draws no random number: both are
// arguments.
func ExampleRetryPolicy_Decide() {
	policy := domain.RetryPolicy{
		MaxAttempts: 3, Base: time.Second, Max: time.Minute,
		OnStatus: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}
	started := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	ended := started.Add(50 * time.Millisecond)
	for charged, status := range []int{
		http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusServiceUnavailable,
	} {
		outcome := policy.Decide(domain.Attempt{
			Response: &domain.Response{StatusCode: status}, Charged: charged,
			Started: started, Ended: ended, Deadline: started.Add(time.Hour), Random: 0.5,
		})
		if outcome.Status == domain.Pending {
			fmt.Println(status, outcome.Status, "again after", outcome.NextAttemptAt.Sub(ended))
		} else {
			fmt.Println(status, outcome.Status, outcome.Reason)
		}
	}
	outcome := policy.Decide(domain.Attempt{
		Response: &domain.Response{StatusCode: http.StatusNotFound}, Started: started, Ended: ended,
	})
	fmt.Println(http.StatusNotFound, outcome.Status)
	// Output:
	// 503 PENDING again after 1s
	// 429 PENDING again after 2s
	// 503 FAILED attempts_exhausted
	// 404 COMPLETED
}
