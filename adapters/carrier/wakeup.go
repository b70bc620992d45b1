package carrier

// WakeUp wakes the goroutine that reads from it. It holds one signal: whoever is awake anyway looks once more, however
// often it was signalled meanwhile.
type WakeUp chan struct{}

// NewWakeUp returns one without a signal.
func NewWakeUp() WakeUp { return make(WakeUp, 1) }

// Signal leaves a signal unless there is one. It does not block, and is safe for concurrent use.
func (w WakeUp) Signal() {
	select {
	case w <- struct{}{}:
	default:
	}
}
