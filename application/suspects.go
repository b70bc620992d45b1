package application

// A process that dies says nothing about which of its requests brought it down. So all of them are suspects: at their
// next delivery few run at once, and from FirstAlone on each has its process to itself. Only then does a death show
// which request is to blame.
const (
	FirstSuspect = 2 // domain.Record.Deliveries of a request whose worker died once
	FirstAlone   = 3
)
