package sqs

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/openhqm/openhqm/ports"
)

// Settle deletes messages. Until that is done they are ours, and are not extended.
func (r *receiver) Settle(tickets []ports.Ticket) {
	if r.receiving.Err() != nil {
		return
	}
	done := make(map[*source][]*message)
	r.mu.Lock()
	for _, ticket := range tickets {
		m, ok := ticket.(*message)
		if ok && m.source.r == r && !m.gone && !m.settled {
			m.settled = true
			done[m.source] = append(done[m.source], m)
		}
	}
	r.mu.Unlock()
	for s, all := range done {
		s.deletes.put(all...)
	}
}

// delete makes one request, and returns what is to be tried again, after a pause.
func (s *source) delete(all []*message) (again []*message) {
	all = s.ours(all)
	if len(all) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(all))
	for i, m := range all {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt}
	}
	answer, err := request(s.r.keeping, s.r.link, s.r.link.api.DeleteMessageBatch,
		&sqs.DeleteMessageBatchInput{QueueUrl: &s.from.url, Entries: entries})
	s.deleting.note(s.from, err)
	if err == nil {
		all = s.deleted(all, answer)
	}
	s.redelete.rest(s.r.keeping, len(all) > 0) // the end of the visibility ends it
	return all
}

// deleted lets go of messages that are deleted, or whose receipt is worth nothing any more, and returns the rest.
func (s *source) deleted(all []*message, answer *sqs.DeleteMessageBatchOutput) (left []*message) {
	over := make(map[string]bool)
	for _, done := range answer.Successful {
		over[aws.ToString(done.Id)] = true
	}
	for _, failed := range answer.Failed {
		over[aws.ToString(failed.Id)] = failed.SenderFault
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for i, m := range all {
		if !over[strconv.Itoa(i)] {
			left = append(left, m)
			continue
		}
		m.gone = true
		if s.r.held[m.place] == m {
			delete(s.r.held, m.place)
		}
	}
	return left
}

// ours returns the messages that are still to be deleted.
func (s *source) ours(all []*message) (left []*message) {
	if s.r.keeping.Err() != nil {
		return nil
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, m := range all {
		if !m.gone {
			left = append(left, m)
		}
	}
	return left
}
