package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/openhqm/openhqm/ports"
)

// errorKind is a kind of error that SQS answers with.
type errorKind struct {
	codes []string
	text  string
}

const (
	notAllowed = "AWS does not allow this user to do that"
	noKey      = "AWS KMS cannot use the key of the queue"
)

// knownErrors have texts of our own: what SQS says of a signature repeats headers, and a token is one of them.
var knownErrors = []errorKind{
	{
		[]string{"AccessDenied", "AccessDeniedException", "NotAuthorized", "KmsAccessDenied", "KMS.AccessDeniedException"},
		notAllowed,
	},
	{
		[]string{
			"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "SignatureDoesNotMatch",
			"InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken", "AuthFailure", "InvalidSecurity",
		},
		"AWS does not accept these credentials",
	},
	{
		[]string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed"},
		"the credentials have expired, or the clock is wrong",
	},
	{
		[]string{
			"KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired",
			"KMS.DisabledException", "KMS.InvalidKeyUsageException", "KMS.InvalidStateException", "KMS.NotFoundException",
			"KMS.OptInRequired",
		},
		noKey,
	},
	{[]string{"NonExistentQueue", "QueueDoesNotExist"}, "the queue does not exist"},
	{[]string{deletedRecently}, "the queue was deleted less than 60 s ago; AWS refuses to create it before that"},
}

// deletedRecently passes by itself, a minute after the queue was deleted.
const deletedRecently = "QueueDeletedRecently"

// code returns what SQS calls an error; "": it has not answered.
func code(err error) string {
	answered, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return ""
	}
	if missing(err) {
		return "QueueDoesNotExist"
	}
	return strings.TrimPrefix(answered.ErrorCode(), "AWS.SimpleQueueService.")
}

// missing reports whether an error says that a queue is not there.
func missing(err error) bool {
	_, is := errors.AsType[*types.QueueDoesNotExist](err)
	return is
}

// about makes an error of a port of what the client says, and names the permission that the call needs.
func about(err error) error {
	if err == nil {
		return nil
	}
	named, action := code(err), ""
	if failed, ok := errors.AsType[*smithy.OperationError](err); ok {
		action = "sqs:" + strings.TrimSuffix(failed.Operation(), "Batch")
		err = failed.Err
	}
	if named == "" {
		if sent, ok := errors.AsType[*url.Error](err); ok {
			err = sent
		} else if errors.Is(err, context.DeadlineExceeded) {
			err = errSilent
		}
		return fmt.Errorf("%w: %s: %w", ports.ErrUnavailable, action, err)
	}
	port := ports.ErrRefused
	if passes(err) || named == deletedRecently {
		port = ports.ErrUnavailable
	}
	if text := known(named); text != "" {
		return fmt.Errorf("%w: %s (permission %s): %s", port, text, action, named)
	}
	answered, _ := errors.AsType[smithy.APIError](err)
	return fmt.Errorf("%w: sqs answered to %s: %s: %s", port, action, named, answered.ErrorMessage())
}

// known returns the text of a code that has one.
func known(named string) (text string) {
	for _, t := range knownErrors {
		if slices.Contains(t.codes, named) {
			return t.text
		}
	}
	return ""
}

// denied reports whether SQS has refused a call whatever is in it, until an operator changes something.
func denied(err error) bool { return known(code(err)) != "" }

// forbidden reports whether SQS has refused a call for want of a permission, which others may not need.
func forbidden(err error) bool {
	text := known(code(err))
	return text == notAllowed || text == noKey
}

// ofMessage are the codes that one message of a batch may be to blame for, or only all of them together
// (SendMessageBatch in the API reference of Amazon SQS, and "Common Errors" there).
var ofMessage = []string{
	"InvalidParameterValue", "InvalidMessageContents", "InvalidAttributeValue", "BatchRequestTooLong",
	"ValidationError", "ValidationException",
}

// errSilent replaces the text of the client, which mentions a response with the status 0.
var errSilent = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)

// passes reports whether the same call may succeed later, without anybody changing anything.
func passes(err error) bool {
	named := code(err)
	if named == "" || strings.Contains(named, "Throttl") {
		return true
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[named]; throttled {
		return true
	}
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && (answer.HTTPStatusCode() >= http.StatusInternalServerError ||
		answer.HTTPStatusCode() == http.StatusTooManyRequests)
}
