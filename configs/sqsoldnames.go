package configs

import (
	"net/url"
	"regexp"
	"strings"
)

var sqsOldNames = []oldName{
	{variable: "QUEUE__SQS_QUEUE_URL", key: "queue.requests", convert: queueOfURL},
	{variable: "QUEUE__SQS_QUEUE_URL", key: "sqs.region", convert: regionOfURL},
	{variable: "QUEUE__SQS_QUEUE_URL", key: "sqs.endpoint", convert: endpointOfURL},
	{variable: "QUEUE__SQS_REGION", key: "sqs.region"},
}

// queueOfURL returns the name of a queue of SQS, which ends its URL.
func queueOfURL(text string) (string, bool) {
	return text[strings.LastIndexByte(text, '/')+1:], true
}

// amazonHost matches the hosts of SQS, of which some name the region.
var amazonHost = regexp.MustCompile(`(?:^sqs\.([a-z0-9-]+)|^([a-z0-9-]+)\.queue|queue)\.amazonaws\.com(?:\.cn)?$`)

func regionOfURL(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	found := amazonHost.FindStringSubmatch(u.Hostname())
	if found == nil {
		return "", false
	}
	region := found[1] + found[2]
	return region, region != ""
}

// endpointOfURL returns the address of a server that speaks SQS and is not Amazon's.
func endpointOfURL(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || amazonHost.MatchString(u.Hostname()) {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}
