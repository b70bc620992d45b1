package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const deadLettersPath = "/api/v1/dead-letters"

// resendTime bounds how long one call resends dead letters. The client continues with the next call. So the answer
// comes before clients and proxies give up, however low the rate.
const resendTime = 20 * time.Second

// deadLetterRoutes are for administrators, who see the requests of all clients as they are stored, including the
// credentials that clients sent.
func (a *api) deadLetterRoutes(r gin.IRoutes) {
	get(r, deadLettersPath, a.audit, a.handle(a.listDeadLetters))
	get(r, deadLettersPath+"/:id", a.audit, a.handle(a.showDeadLetter))
	r.POST(deadLettersPath+"/:id/resend", a.audit, a.handle(a.resendDeadLetter))
	r.POST(deadLettersPath+"/resend", a.audit, a.handle(a.resendDeadLetters))
	r.DELETE(deadLettersPath+"/:id", a.audit, a.handle(a.deleteDeadLetter))
}

// listDeadLetters returns a page: GET /api/v1/dead-letters.
func (a *api) listDeadLetters(c *gin.Context) error {
	filter, err := parseFilterQuery(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	noteFilter(c, &filter)
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	page, err := a.opts.DeadLetters.List(ctx, filter)
	if err != nil {
		return err
	}
	c.Set(countKey, len(page.Letters))
	a.respond(c, http.StatusOK, jsonType, deadLettersDocument(&page))
	return nil
}

// showDeadLetter returns one with its original: GET /api/v1/dead-letters/{id}.
func (a *api) showDeadLetter(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	state, err := a.opts.DeadLetters.State(ctx, id)
	if err != nil {
		return err
	}
	setRecord(c, state.ID, state.Status)
	release, err := a.answers.acquire(ctx, state.RequestSize, inDocument(state.RequestSize))
	if err != nil {
		return err
	}
	defer release()
	letter, err := a.opts.DeadLetters.Find(ctx, id)
	if err != nil {
		return err
	}
	a.respond(c, http.StatusOK, jsonType, wholeDeadLetterDocument(&letter))
	return nil
}

// deleteDeadLetter removes one: DELETE /api/v1/dead-letters/{id}.
func (a *api) deleteDeadLetter(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	if err := a.opts.DeadLetters.Delete(ctx, id); err != nil {
		return err
	}
	a.respond(c, http.StatusNoContent, "", nil) // net/http omits the content fields of a 204
	return nil
}

// resendDeadLetter resends one: POST /api/v1/dead-letters/{id}/resend.
func (a *api) resendDeadLetter(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), callTimeout)
	defer cancel()
	resent, err := a.opts.Resender.Resend(ctx, id)
	if err != nil {
		return err
	}
	setRecord(c, resent.ID, domain.Pending)
	c.Header("Location", a.base+statusPath+string(resent.ID))
	c.Header("Retry-After", "1")
	a.respond(c, http.StatusAccepted, jsonType, resentDocument(&resent))
	return nil
}

// resendDeadLetters resends those that match: POST /api/v1/dead-letters/resend. It stops when the client leaves,
// when a drain begins, and after resendTime.
func (a *api) resendDeadLetters(c *gin.Context) error {
	filter, rate, err := a.resendOrder(c)
	if err != nil {
		return err
	}
	noteFilter(c, &filter)
	ctx, cancel := context.WithTimeout(c.Request.Context(), resendTime)
	defer cancel()
	forget := context.AfterFunc(a.draining, cancel)
	defer forget()
	page, err := a.opts.Resender.ResendMany(ctx, filter, rate)
	if err != nil {
		return err
	}
	c.Set(countKey, len(page.Resent))
	a.respond(c, http.StatusAccepted, jsonType, resentPageDocument(&page))
	return nil
}

func (a *api) resendOrder(c *gin.Context) (filter ports.DeadLetterFilter, rate int, err error) {
	if err := checkMedia(c.Request.Header); err != nil {
		return filter, rate, err
	}
	document, err := a.bodies.read(c.Writer, c.Request, a.client(c))
	if err != nil {
		return filter, rate, err
	}
	defer document.release()
	return parseResendOrder(document.data)
}
