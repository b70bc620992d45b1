package bootstrap

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func newSubmit(
	config configs.Config, endpoints ports.Endpoints, opening *opening, observer ports.Observer,
) *application.Submit {
	return application.NewSubmit(application.SubmitOptions{
		Endpoints:      endpoints,
		Headers:        headerPolicy(config),
		Forwarded:      domain.Forwarding(config.Proxy.Forwarded),
		MaxAge:         config.Request.MaxAge,
		IdempotencyTTL: config.Request.IdempotencyTTL,
		Now:            time.Now,
		NewID:          newID,
	}, openingIntake{opening}, observer)
}

func newPoll(opening *opening) *application.Poll { return application.NewPoll(openingResults{opening}) }

func newCancel(opening *opening) *application.Cancel {
	return application.NewCancel(openingResults{opening}, openingIntake{opening})
}

func newResend(
	config configs.Config, endpoints ports.Endpoints, opening *opening, observer ports.Observer,
) *application.Resend {
	return application.NewResend(application.ResendOptions{
		Endpoints: endpoints,
		MaxAge:    config.Request.MaxAge,
		Now:       time.Now,
		NewID:     newID,
	}, openingLetters{opening}, openingIntake{opening}, observer)
}

// newID returns a new UUIDv7 (RFC 9562).
func newID() (domain.ID, error) {
	id, err := uuid.NewV7()
	return domain.ID(id.String()), err
}

func newProcess(config configs.Config, endpoints ports.Endpoints, observer ports.Observer) *application.Process {
	return application.NewProcess(application.ProcessOptions{
		Endpoints:     endpoints,
		MaxDeliveries: config.Queue.MaxDeliveries,
		Now:           time.Now,
		Random:        rand.Float64,
	}, observer)
}
