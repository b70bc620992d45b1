package domain

// Lane is one of the two priority lanes.
type Lane uint8

// The high lane goes first, but when both wait at least one delivery in LowLaneShare comes from the low one.
const (
	LaneHigh Lane = iota
	LaneLow

	LaneCount    = 2
	LowLaneShare = 8
)

// highPriority is the lowest priority of the high lane.
const highPriority = 5

// Lane returns the lane that the request's priority puts it in: 0-4 low, 5-9 high.
func (r *Request) Lane() Lane {
	if r.Priority >= highPriority {
		return LaneHigh
	}
	return LaneLow
}

// LaneTurn decides which lane goes next, so that the high lane goes first and the low lane is never starved: see
// LowLaneShare. The zero value is ready. It is not safe for concurrent use.
type LaneTurn struct {
	streak int // high deliveries since the last low one
}

// LaneTurnAfter returns a LaneTurn that has seen that many high deliveries since the last low one.
func LaneTurnAfter(streak int) LaneTurn { return LaneTurn{streak} }

// Order returns the lanes in the order in which to look for the next delivery.
func (t *LaneTurn) Order() [LaneCount]Lane {
	if t.streak >= LowLaneShare-1 {
		return [LaneCount]Lane{LaneLow, LaneHigh}
	}
	return [LaneCount]Lane{LaneHigh, LaneLow}
}

// Took notes that a delivery came from the lane.
func (t *LaneTurn) Took(lane Lane) {
	if lane == LaneLow {
		t.streak = 0
		return
	}
	t.streak++
}

// Streak returns how many high deliveries there were since the last low one.
func (t *LaneTurn) Streak() int { return t.streak }
