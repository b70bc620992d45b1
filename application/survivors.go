package application

// A process that dies says nothing about which of its requests brought it down. So none of the survivors is to blame
// yet: at their next delivery few run at once, and from FirstAlone on each has its process to itself. Only then does a
// death show which request is to blame.
const (
	FirstFew   = 2 // domain.Record.Deliveries of a request whose worker died once
	FirstAlone = 3
)
