package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	// maxWait is the longest wait that a client may ask for.
	maxWait = 60 * time.Second

	// longestHold is how long an answer is held at most, whatever the client asks for. Proxies give up after 60 s without
	// a byte (nginx's proxy_read_timeout, the idle timeout of AWS load balancers), and their 504 would hide the 202.
	longestHold = 55 * time.Second
)

// status returns the state of a request: GET /api/v1/status/{id}.
func (a *api) status(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	record, err := a.opts.Poller.State(ctx, callerOf(c), id)
	if err != nil {
		return err
	}
	a.respondRecord(c, http.StatusOK, &record, statusDocument(&record))
	return nil
}

// cancel cancels a PENDING request: DELETE /api/v1/status/{id}.
func (a *api) cancel(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	record, err := a.opts.Canceller.Cancel(ctx, callerOf(c), id)
	if errors.Is(err, ports.ErrConflict) {
		setRecord(c, id, record.Status)
	}
	if err != nil {
		return err
	}
	a.respondRecord(c, http.StatusOK, &record, statusDocument(&record))
	return nil
}

// response returns the final result, or 202 while there is none: GET /api/v1/response/{id}.
func (a *api) response(c *gin.Context) error { return a.whenFinal(c, a.respondResult) }

// whenFinal answers with the result of a record, or with 202 while it is not final.
func (a *api) whenFinal(c *gin.Context, write resultWriter) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	wait, err := waitTime(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	record, err := a.await(c, id, wait)
	if err != nil {
		return err
	}
	if !record.Status.Final() {
		c.Header("Retry-After", retryAfter(record.NextAttemptAt, a.opts.Now()))
		a.respondRecord(c, http.StatusAccepted, &record, pendingDocument(&record))
		return nil
	}
	return write(c, &record)
}

// await returns a record without its result. With wait it blocks until the record is final, for that long at most, or
// until a drain begins.
func (a *api) await(c *gin.Context, id domain.ID, wait time.Duration) (domain.Record, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait+callTimeout)
	defer cancel()
	if wait > 0 {
		waiting, stop := context.WithCancel(ctx)
		defer stop()
		forget := context.AfterFunc(a.draining, stop)
		defer forget()
		record, err := a.opts.Poller.Wait(waiting, callerOf(c), id, wait)
		if err == nil || waiting.Err() == nil || ctx.Err() != nil {
			return record, err
		}
	}
	return a.opts.Poller.State(ctx, callerOf(c), id)
}

// respondResult answers with the result of a final record. It loads the result when there is room for it in memory, and
// holds the room until the client has read the answer or has left.
func (a *api) respondResult(c *gin.Context, record *domain.Record) error {
	return a.load(c, record, inDocument(record.ResponseSize), func(whole *domain.Record) {
		a.respondRecord(c, http.StatusOK, whole, resultDocument(whole))
	})
}

// load calls show with the whole record when there is so much room in memory, and holds the room until show returns.
func (a *api) load(c *gin.Context, record *domain.Record, room int64, show func(whole *domain.Record)) error {
	setRecord(c, record.ID, record.Status)
	release, err := a.answers.acquire(c.Request.Context(), record.ResponseSize, room)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	whole, err := a.opts.Poller.Find(ctx, callerOf(c), record.ID)
	if err != nil {
		return err
	}
	show(&whole)
	return nil
}

// pathID returns the id in the path and sets X-Correlation-ID. An invalid id is ports.ErrNotFound without a look-up.
func pathID(c *gin.Context) (domain.ID, error) {
	id := domain.ID(c.Param("id"))
	if !id.Valid() {
		return "", ports.ErrNotFound
	}
	c.Header(headerCorrelationID, string(id))
	return id, nil
}

// waitTime reads ?wait=20s or ?wait=20, and returns longestHold at most; it is 0 without it.
func waitTime(rawQuery string) (time.Duration, error) {
	if rawQuery == "" {
		return 0, nil
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, &domain.Invalid{Field: "query", Reason: "is malformed"}
	}
	if !query.Has("wait") {
		return 0, nil
	}
	text := query.Get("wait")
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "s" // as in Prefer: wait
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, &domain.Invalid{Field: "wait", Reason: `must be a duration from "0s" to "60s", or whole seconds`}
	}
	return min(wait, longestHold), nil
}

// retryAfter returns the seconds until the next attempt, from 1 to 60; 1 when it is unknown.
func retryAfter(next, now time.Time) string {
	seconds := int64(1)
	if !next.IsZero() {
		seconds = int64((next.Sub(now) + time.Second - 1) / time.Second)
	}
	return strconv.FormatInt(min(max(seconds, 1), int64(maxWait/time.Second)), 10)
}
