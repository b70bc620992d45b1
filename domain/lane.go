package domain

// Lane is one of the two priority lanes.
type Lane uint8

// The high lane goes first. While both lanes have work, at least one delivery in LowLaneShare is from the low one.
const (
	LaneHigh Lane = iota
	LaneLow

	LaneCount    = 2
	LowLaneShare = 8
)

// highPriority is the lowest priority of the high lane.
const highPriority = 5

// Lane returns the lane for the request's priority: low for 0 to 4, high for 5 to 9.
func (r *Request) Lane() Lane {
	if r.Priority >= highPriority {
		return LaneHigh
	}
	return LaneLow
}

// LaneTurn decides which lane goes next, so that the low lane is never starved (see LowLaneShare). The zero value is
// ready. It is not safe for concurrent use.
type LaneTurn struct {
	streak int // high deliveries since the last low one
}

// LaneTurnAfter returns a LaneTurn that has counted streak high deliveries since the last low one.
func LaneTurnAfter(streak int) LaneTurn { return LaneTurn{streak} }

// Order returns the lanes in the order in which to look for the next delivery. It changes nothing.
func (t *LaneTurn) Order() [LaneCount]Lane {
	if t.streak >= LowLaneShare-1 {
		return [LaneCount]Lane{LaneLow, LaneHigh}
	}
	return [LaneCount]Lane{LaneHigh, LaneLow}
}

// Took counts a delivery from the lane.
func (t *LaneTurn) Took(lane Lane) {
	if lane == LaneLow {
		t.streak = 0
		return
	}
	t.streak++
}

// Streak returns the number of high deliveries since the last low one.
func (t *LaneTurn) Streak() int { return t.streak }
