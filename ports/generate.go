package ports

//go:generate go tool mockgen -source=intake.go -destination=../tests/mocks/intake.go -package=mocks
//go:generate go tool mockgen -source=work.go -destination=../tests/mocks/work.go -package=mocks
//go:generate go tool mockgen -source=results.go -destination=../tests/mocks/results.go -package=mocks
//go:generate go tool mockgen -source=endpoints.go -destination=../tests/mocks/endpoints.go -package=mocks
//go:generate go tool mockgen -source=backend.go -destination=../tests/mocks/backend.go -package=mocks
//go:generate go tool mockgen -source=observe.go -destination=../tests/mocks/observe.go -package=mocks
//go:generate go tool mockgen -source=usecases.go -destination=../tests/mocks/usecases.go -package=mocks
//go:generate go tool mockgen -source=broker.go -destination=../tests/mocks/broker.go -package=mocks
//go:generate go tool mockgen -source=store.go -destination=../tests/mocks/store.go -package=mocks
//go:generate go tool mockgen -source=pauses.go -destination=../tests/mocks/pauses.go -package=mocks
//go:generate go tool mockgen -source=outcomes.go -destination=../tests/mocks/outcomes.go -package=mocks
//go:generate go tool mockgen -source=outbox.go -destination=../tests/mocks/outbox.go -package=mocks
//go:generate go tool mockgen -source=foreign.go -destination=../tests/mocks/foreign.go -package=mocks
//go:generate go tool mockgen -source=deadletters.go -destination=../tests/mocks/deadletters.go -package=mocks
//go:generate go tool mockgen -source=move.go -destination=../tests/mocks/move.go -package=mocks
