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

// maxWait is how long ?wait and Prefer: wait may hold an answer.
const maxWait = 60 * time.Second

// status tells where a request stands: GET /api/v1/status/{id}.
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

// cancel withdraws a request that is PENDING: DELETE /api/v1/status/{id}.
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

// response gives the final result, or says that there is none yet: GET /api/v1/response/{id}.
func (a *api) response(c *gin.Context) error { return a.whenFinal(c, a.respondResult) }

// whenFinal answers with the result of a record, or says that there is none yet.
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

// await gives a record without its result, at once or after waiting for it to be final. A drain ends the waiting, and
// the record is as it then is.
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

// respondResult answers with the result of a record that is final. It is loaded when there is room for it, which is
// given back when the client has read the answer, or has left.
func (a *api) respondResult(c *gin.Context, record *domain.Record) error {
	return a.load(c, record, inDocument(record.ResponseSize), func(whole *domain.Record) {
		a.respondRecord(c, http.StatusOK, whole, resultDocument(whole))
	})
}

// load gives all of a record to show, when there is so much room in memory. The room is given back when show returns.
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

// pathID takes the id from the path and sets X-Correlation-ID. What cannot be an id is not looked for.
func pathID(c *gin.Context) (domain.ID, error) {
	id := domain.ID(c.Param("id"))
	if !id.Valid() {
		return "", ports.ErrNotFound
	}
	c.Header(headerCorrelationID, string(id))
	return id, nil
}

// waitTime reads ?wait=20s; without it there is no waiting.
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
	wait, err := time.ParseDuration(query.Get("wait"))
	if err != nil || wait < 0 || wait > maxWait {
		return 0, &domain.Invalid{Field: "wait", Reason: `must be a duration from "0s" to "60s"`}
	}
	return wait, nil
}

// retryAfter gives the seconds until a next attempt that is known, from 1 to 60.
func retryAfter(next, now time.Time) string {
	seconds := int64(1)
	if !next.IsZero() {
		seconds = int64((next.Sub(now) + time.Second - 1) / time.Second)
	}
	return strconv.FormatInt(min(max(seconds, 1), int64(maxWait/time.Second)), 10)
}
